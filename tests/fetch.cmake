# Parsers and what else needs no network.
foreach(name IN ITEMS challenge range retry token error_body url credentials)
	orlop_test(${name} orlop_fetch)
endforeach()
foreach(parser IN ITEMS challenge content_range retry_after token error_body auth_config)
	orlop_fuzz(${parser} orlop_fetch)
endforeach()

# The client against tests/fake_registry (python3) and, where it is installed, Debian's docker-registry; credentials with helpers
# that are scripts.
foreach(name IN ITEMS registry blob_fetch tls)
	orlop_test(${name} orlop_fetch)
	target_compile_definitions(test_${name} PRIVATE FAKE_SOURCE_DIR="${CMAKE_CURRENT_LIST_DIR}/..")
endforeach()
