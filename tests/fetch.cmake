# Tests of fetch/. Those that talk use tests/fake_registry (python3).
foreach(name IN ITEMS registry)
	orlop_test(${name} orlop_fetch orlop_manifest orlop_base)
	target_compile_definitions(test_${name} PRIVATE FAKE_SOURCE_DIR="${CMAKE_CURRENT_LIST_DIR}/..")
endforeach()
