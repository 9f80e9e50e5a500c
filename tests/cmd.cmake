# The parts of cmd/ that need no store: tested without linking the rest of the program.
set(cmd ${PROJECT_SOURCE_DIR}/cmd)
add_library(orlop_cmd_parts STATIC
	${cmd}/exit_status.c ${cmd}/option.c ${cmd}/size.c ${cmd}/suggest.c ${cmd}/table.c
	${cmd}/template.c ${cmd}/template_func.c ${cmd}/template_lex.c ${cmd}/template_run.c)
target_link_libraries(orlop_cmd_parts PUBLIC orlop_base orlop_manifest m)

foreach(name IN ITEMS template table size options exit_status)
	orlop_test(${name} orlop_cmd_parts)
endforeach()
orlop_fuzz(template orlop_cmd_parts)
