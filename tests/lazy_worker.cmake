orlop_test(profile orlop_manifest)
orlop_fuzz(profile orlop_manifest)
