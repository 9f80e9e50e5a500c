orlop_test(idmap orlop_base)
orlop_fuzz(idmap orlop_base)
