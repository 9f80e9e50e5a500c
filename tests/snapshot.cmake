orlop_test(unpack orlop_snapshot)

# One suite for every row of the table of drivers.
add_executable(suite_driver suite_driver.c suite_users.c suite_idmap.c suite_box.c layer_recipe.c layer_tree.c)
target_link_libraries(suite_driver PRIVATE orlop_snapshot PkgConfig::cmocka)
add_test(NAME suite_driver COMMAND suite_driver)

add_test(NAME compare_tree COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test_compare_tree.sh)
