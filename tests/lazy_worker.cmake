orlop_test(profile orlop_manifest)
orlop_fuzz(profile orlop_manifest)
orlop_test(lazy_gate orlop_image)
orlop_test(lazy_flight orlop_image)
