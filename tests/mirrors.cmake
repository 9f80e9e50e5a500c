# Configuration that others have already made: hosts.toml, registries.conf, and what a pull makes of them.
foreach(name IN ITEMS toml)
	orlop_test(${name} orlop_fetch)
endforeach()
foreach(parser IN ITEMS toml url)
	orlop_fuzz(${parser} orlop_fetch)
endforeach()
