if(TARGET orlop)
	orlop_e2e(lazy_see erofs)
	orlop_e2e(lazy_index erofs)
endif()
