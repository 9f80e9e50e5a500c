if(TARGET orlop)
	orlop_e2e(lazy_see erofs)
endif()
