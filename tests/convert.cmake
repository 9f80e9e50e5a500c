# Images converted so that others can pull them lazily.
orlop_test(lazy_writers orlop_snapshot)
target_sources(test_lazy_writers PRIVATE tar_builder.c lazy_box.c)
orlop_e2e(convert any dir)
