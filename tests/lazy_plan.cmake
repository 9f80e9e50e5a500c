orlop_test(referrers orlop_fetch)
target_compile_definitions(test_referrers PRIVATE FAKE_SOURCE_DIR="${CMAKE_CURRENT_LIST_DIR}/..")
