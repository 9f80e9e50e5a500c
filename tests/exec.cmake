# The launcher alone, for tests and for a comparison with docker by hand.
add_executable(launch_tool launch_tool.c)
target_link_libraries(launch_tool PRIVATE orlop_exec)
