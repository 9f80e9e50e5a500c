orlop_test(idmap orlop_base)
orlop_fuzz(idmap orlop_base)
orlop_test(mountinfo orlop_snapshot)
orlop_fuzz(mountinfo orlop_snapshot)
