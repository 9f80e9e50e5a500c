orlop_test(lazy_engine orlop_snapshot)
orlop_test(lazy_holder orlop_snapshot)
