orlop_test(referrers orlop_fetch)
target_compile_definitions(test_referrers PRIVATE FAKE_SOURCE_DIR="${CMAKE_CURRENT_LIST_DIR}/..")
orlop_test(lazy_source orlop_image)
orlop_fuzz(lazy_source orlop_image)
