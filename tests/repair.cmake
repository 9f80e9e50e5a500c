orlop_test(mend orlop_store)
orlop_test(draft orlop_store)
orlop_test(relist orlop_image)
orlop_fuzz(relist orlop_image)
