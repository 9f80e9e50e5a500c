# The store that looks after itself, and what makes it quick.
foreach(name IN ITEMS library)
	orlop_test(${name} orlop_base)
endforeach()
