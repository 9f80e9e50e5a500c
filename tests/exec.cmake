# The launcher alone, for tests and for a comparison with docker by hand.
add_executable(launch_tool launch_tool.c)
target_link_libraries(launch_tool PRIVATE orlop_exec)

foreach(test IN ITEMS user inside environment capability seccomp rlimit bundle cgroup mount_options)
	orlop_test(${test} orlop_exec)
endforeach()
foreach(parser IN ITEMS passwd seccomp)
	orlop_fuzz(${parser} orlop_exec)
endforeach()
foreach(test IN ITEMS launch escape runtime)
	orlop_test(${test} orlop_exec util)
	target_sources(test_${test} PRIVATE launch_box.c)
	set_tests_properties(${test} PROPERTIES RUN_SERIAL TRUE) # they use one cgroup
endforeach()
