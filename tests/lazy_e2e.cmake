# Long files, in parts that run side by side; together the filters match every test.
if(TARGET orlop)
	orlop_bats(e2e_lazy_trees_fanotify lazy_trees DRIVER erofs FILTER fanotify)
	orlop_bats(e2e_lazy_trees_fuse lazy_trees DRIVER erofs FILTER fuse)
	orlop_bats(e2e_lazy_faults lazy_faults DRIVER erofs FILTER "registry|chunk|signed|disk")
	orlop_bats(e2e_lazy_deaths lazy_faults DRIVER erofs FILTER "killed|program|SIGTERM|machine")
endif()
