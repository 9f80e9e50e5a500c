orlop_test(lazy_images orlop_snapshot)
target_sources(test_lazy_images PRIVATE lazy_box.c)
target_compile_definitions(test_lazy_images PRIVATE ORLOP_MAKE_LAZY="${PROJECT_SOURCE_DIR}/fixtures/make-lazy")
