# The launcher alone, for tests and for a comparison with docker by hand.
add_executable(launch_tool launch_tool.c)
target_link_libraries(launch_tool PRIVATE orlop_exec)

foreach(test IN ITEMS user inside environment capability seccomp rlimit)
	orlop_test(${test} orlop_exec)
endforeach()
foreach(parser IN ITEMS passwd seccomp)
	orlop_fuzz(${parser} orlop_exec)
endforeach()
