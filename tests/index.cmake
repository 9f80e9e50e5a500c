orlop_test(gzip_index orlop_snapshot)
orlop_fuzz(gzip_index orlop_snapshot)
orlop_test(ztoc_make orlop_snapshot)
target_sources(test_ztoc_make PRIVATE tar_builder.c)
