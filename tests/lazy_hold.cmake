orlop_test(lazy_engine orlop_snapshot)
orlop_test(lazy_held orlop_snapshot)
orlop_test(lazy_holder orlop_snapshot)
set_tests_properties(lazy_holder PROPERTIES TIMEOUT 300)

foreach(parser IN ITEMS fuse_request lazy_held lazy_wire)
	orlop_fuzz(${parser} orlop_snapshot)
endforeach()
