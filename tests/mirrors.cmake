# Configuration that others have already made: hosts.toml, registries.conf, and what a pull makes of them.
foreach(name IN ITEMS toml hosts_toml registries_conf endpoints)
	orlop_test(${name} orlop_fetch)
endforeach()
foreach(parser IN ITEMS toml hosts_toml registries_conf url)
	orlop_fuzz(${parser} orlop_fetch)
endforeach()
