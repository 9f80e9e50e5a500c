# Configuration that others have already made: hosts.toml, registries.conf, and what a pull makes of them.
foreach(name IN ITEMS toml hosts_toml registries_conf endpoints proxy)
	orlop_test(${name} orlop_fetch)
endforeach()
foreach(parser IN ITEMS toml hosts_toml registries_conf url)
	orlop_fuzz(${parser} orlop_fetch)
endforeach()

# Mirrors that are dead, lie, lag and work, played by tests/fake_registry.
orlop_test(mirrors orlop_fetch)
target_compile_definitions(test_mirrors PRIVATE FAKE_SOURCE_DIR="${CMAKE_CURRENT_LIST_DIR}/..")

if(TARGET orlop)
	orlop_e2e(mirrors any)
endif()
