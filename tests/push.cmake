# Writing to a registry: the client against tests/fake_registry.
orlop_test(upload orlop_fetch)
target_compile_definitions(test_upload PRIVATE FAKE_SOURCE_DIR="${CMAKE_CURRENT_LIST_DIR}/..")
foreach(parser IN ITEMS upload_range link)
	orlop_fuzz(${parser} orlop_fetch)
endforeach()

orlop_test(transport orlop_image)
orlop_fuzz(transport orlop_image)
orlop_test(gzip_file orlop_snapshot)
if(TARGET orlop)
	orlop_e2e(push any)
endif()
