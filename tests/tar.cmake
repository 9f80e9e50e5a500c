orlop_test(tar orlop_manifest)
target_sources(test_tar PRIVATE tar_builder.c)
orlop_test(decode orlop_snapshot)
