orlop_test(tar_writer orlop_manifest)
orlop_test(archive_writer orlop_image)
orlop_test(change orlop_image)
orlop_fuzz(change orlop_image)
