orlop_test(error orlop_base)
