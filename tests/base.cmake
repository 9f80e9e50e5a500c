orlop_test(error orlop_base)
orlop_test(sorter orlop_base)
orlop_test(digest orlop_base)
orlop_test(base64 orlop_base)
