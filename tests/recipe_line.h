#pragma once

/* For layer_recipe.c and layer_tree.c: one line of a recipe or tree, taken apart. */
#include <stdbool.h>
#include <stddef.h>

#define RECIPE_TEXT_MAX   ((size_t)16 << 20)
#define RECIPE_FIELDS_MAX 16

typedef struct recipe_line {
	char *fields[RECIPE_FIELDS_MAX]; /* owned; {x*n} expanded */
	size_t count;
} recipe_line;

enum { NAME, TYPE, MODE, OWNER, TIME, ARG, XATTRS };

/* The next line, or false at the end. */
bool recipe_line_next(const char **at, recipe_line *line);
void recipe_line_done(recipe_line *line);
/* "-" where there is none. */
const char *recipe_field(const recipe_line *line, size_t index);
