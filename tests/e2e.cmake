# tests/e2e/NAME.bats drives the built program against real servers; once for each driver where it makes a difference.
function(orlop_e2e name)
	foreach(driver IN ITEMS ${ARGN})
		add_test(NAME e2e_${name}_${driver} COMMAND bats ${CMAKE_CURRENT_SOURCE_DIR}/e2e/${name}.bats)
		set_tests_properties(e2e_${name}_${driver} PROPERTIES TIMEOUT 600
			ENVIRONMENT "ORLOP=$<TARGET_FILE:orlop>;ORLOP_DRIVER=${driver}")
	endforeach()
endfunction()

if(TARGET orlop)
	orlop_e2e(pull erofs dir)
	orlop_e2e(trees erofs dir)
	orlop_e2e(kill erofs dir)
	orlop_e2e(run erofs dir)
endif()
