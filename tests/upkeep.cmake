# The store that looks after itself, and what makes it quick.
foreach(name IN ITEMS library)
	orlop_test(${name} orlop_base)
endforeach()
foreach(name IN ITEMS summary until)
	orlop_test(${name} orlop_image)
endforeach()
orlop_fuzz(summary orlop_image)
