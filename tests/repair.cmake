orlop_test(mend orlop_store)
