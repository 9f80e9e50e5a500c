foreach(test IN ITEMS json)
	orlop_test(${test} orlop_manifest)
	orlop_fuzz(${test} orlop_manifest)
endforeach()
