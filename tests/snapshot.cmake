orlop_test(unpack orlop_snapshot)
