if(TARGET orlop)
	orlop_e2e(load erofs dir)
endif()
