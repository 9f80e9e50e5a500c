orlop_test(lazy orlop_store)
orlop_test(lazy_state orlop_snapshot)
orlop_test(lazy_table orlop_snapshot)
orlop_fuzz(lazy_table orlop_snapshot)
