if(TARGET orlop)
	orlop_e2e(lazy_trees erofs)
	orlop_e2e(lazy_faults erofs)
endif()
