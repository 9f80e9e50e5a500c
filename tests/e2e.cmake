# tests/e2e/NAME.bats drives the built program against real servers; once for each driver where it makes a difference,
# else with the one that orlop chooses ("any").
function(orlop_e2e name)
	foreach(driver IN ITEMS ${ARGN})
		if(driver STREQUAL any)
			set(test e2e_${name})
			set(forced "")
		else()
			set(test e2e_${name}_${driver})
			set(forced ";ORLOP_DRIVER=${driver}")
		endif()
		add_test(NAME ${test} COMMAND bats ${CMAKE_CURRENT_SOURCE_DIR}/e2e/${name}.bats)
		set_tests_properties(${test} PROPERTIES TIMEOUT 600
			ENVIRONMENT "ORLOP=$<TARGET_FILE:orlop>${forced};BATS_TEST_TIMEOUT=300") # a test that hangs cleans up
	endforeach()
endfunction()

if(TARGET orlop)
	orlop_e2e(pull erofs dir)
	orlop_e2e(trees erofs dir)
	orlop_e2e(kill erofs dir)
	orlop_e2e(run erofs dir)
	orlop_e2e(registries any)
	orlop_e2e(cli any)
	orlop_e2e(install any)
endif()
