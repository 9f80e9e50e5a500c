orlop_test(blob orlop_store)
