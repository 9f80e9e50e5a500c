orlop_test(erofs_writer orlop_snapshot)
target_sources(test_erofs_writer PRIVATE erofs_box.c)
