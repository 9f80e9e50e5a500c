orlop_test(blob orlop_store)
orlop_test(range_map orlop_store)
orlop_fuzz(range_map orlop_store)
