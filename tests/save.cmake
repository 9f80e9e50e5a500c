orlop_test(tar_writer orlop_manifest)
orlop_test(archive_writer orlop_image)
