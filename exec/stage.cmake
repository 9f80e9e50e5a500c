# The last stage of a container's start: a static program, embedded into orlop_exec by exec/stage.c. No sanitizer and no
# coverage: it runs where their libraries are not.
add_executable(orlop_stage exec/stage/stage_main.c)
set_target_properties(orlop_stage PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_include_directories(orlop_stage PRIVATE ${PROJECT_SOURCE_DIR})
target_compile_definitions(orlop_stage PRIVATE _GNU_SOURCE)
target_compile_options(orlop_stage PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Os
	-fno-sanitize=all -ffunction-sections -fdata-sections $<$<BOOL:${ORLOP_WERROR}>:-Werror>)
target_link_options(orlop_stage PRIVATE -static -s -Wl,--gc-sections -fno-sanitize=all)

target_compile_definitions(orlop_exec PRIVATE ORLOP_STAGE_FILE="${PROJECT_BINARY_DIR}/orlop_stage")
set_source_files_properties(${PROJECT_SOURCE_DIR}/exec/stage.c PROPERTIES OBJECT_DEPENDS ${PROJECT_BINARY_DIR}/orlop_stage)
add_dependencies(orlop_exec orlop_stage)
