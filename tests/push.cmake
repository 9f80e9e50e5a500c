# Writing to a registry: the client against tests/fake_registry.
orlop_test(upload orlop_fetch)
target_compile_definitions(test_upload PRIVATE FAKE_SOURCE_DIR="${CMAKE_CURRENT_LIST_DIR}/..")
foreach(parser IN ITEMS upload_range link)
	orlop_fuzz(${parser} orlop_fetch)
endforeach()
