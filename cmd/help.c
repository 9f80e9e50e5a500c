#include "cmd/help.h"

#include "base/alloc.h"
#include "cmd/exit_status.h"
#include "cmd/table.h"

#define HELP_BYTES_MAX   ((size_t)1 << 20)
#define HELP_COLUMNS_MAX 100
#define HELP_OPTION_MAX  28 /* wider options have their help on the next line */

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const ol_option *const *)a)->name, (*(const ol_option *const *)b)->name);
}

const ol_option **ol_sorted_options(const ol_command *command, size_t *count)
{
	const ol_option **list;
	size_t all = 0;

	for (size_t i = 0; i < OL_COMMAND_TABLES && command->options[i]; i++)
		for (const ol_option *o = command->options[i]; o->name; o++)
			all++;
	list = ol_alloc_array(all + 1, sizeof(const ol_option *));
	*count = 0;
	for (size_t i = 0; i < OL_COMMAND_TABLES && command->options[i]; i++)
		for (const ol_option *o = command->options[i]; o->name; o++)
			if (o->kind != OL_OPTION_REFUSED)
				list[(*count)++] = o;
	qsort(list, *count, sizeof(const ol_option *), by_name);
	return list;
}

/* Words from a text, in lines of at most width, each after the first indented. The cursor stands at
 * column at. */
static void wrap(ol_str *out, const char *text, size_t at, size_t indent, size_t width)
{
	size_t column = at;

	while (*text) {
		size_t size = strcspn(text, " \n");
		size_t columns = ol_text_width(ol_view_from(text, size));

		if (column + columns > width && column > indent) {
			(void)ol_str_addf(out, "\n%*s", (int)indent, "");
			column = indent;
		}
		(void)ol_str_addv(out, ol_view_from(text, size));
		column += columns;
		text += size;
		if (*text == '\n' && text[1] == '\n') {
			(void)ol_str_addf(out, "\n\n%*s", (int)indent, "");
			column = indent;
			text += 2;
		} else if (*text) {
			text++;
			if (*text && column + 1 + strcspn(text, " \n") <= width)
				(void)ol_str_addc(out, ' ');
			else if (*text)
				column = width; /* the next word breaks the line */
			column++;
		}
	}
	(void)ol_str_addc(out, '\n');
}

static void add_option(ol_str *out, const ol_option *option, size_t indent, size_t width)
{
	ol_auto_str ol_str left = OL_STR(1024), right = OL_STR(4096);

	if (option->letter)
		(void)ol_str_addf(&left, "  -%c, --%s", option->letter, option->name);
	else
		(void)ol_str_addf(&left, "      --%s", option->name);
	if (option->value)
		(void)ol_str_addf(&left, " %s", option->value);
	(void)ol_str_addf(&right, "%s", option->help);
	if (option->choices) {
		(void)ol_str_add(&right, ": ");
		for (const char *c = option->choices; *c; c++)
			(void)ol_str_add(&right, *c == '|' ? ", " : (char[]){ *c, 0 });
	}
	if (option->otherwise)
		(void)ol_str_addf(&right, " (default %s)", option->otherwise);
	(void)ol_str_add(out, ol_str_text(&left));
	if (left.size + 2 > indent)
		(void)ol_str_addf(out, "\n%*s", (int)indent, "");
	else
		(void)ol_str_addf(out, "%*s", (int)(indent - left.size), "");
	wrap(out, ol_str_text(&right), indent, indent, width);
}

static size_t option_width(const ol_option *option)
{
	return 6 + 2 + strlen(option->name) + (option->value ? 1 + strlen(option->value) : 0) + 2;
}

static void title(const ol_console *console, ol_str *out, const char *text)
{
	(void)ol_str_addf(out, "\n%s%s:%s\n", ol_bold(console->out_colour), text,
		ol_plain(console->out_colour));
}

static void add_options(
	const ol_console *console, ol_str *out, const ol_command *command, size_t width)
{
	size_t count, indent = 0;
	ol_autofree const ol_option **list = ol_sorted_options(command, &count);

	for (size_t i = 0; i < count; i++)
		if (option_width(list[i]) > indent && option_width(list[i]) <= HELP_OPTION_MAX)
			indent = option_width(list[i]);
	indent = indent ? indent : HELP_OPTION_MAX;
	if (count)
		title(console, out, "Options");
	for (size_t i = 0; i < count; i++)
		add_option(out, list[i], indent, width);
}

static size_t help_columns(const ol_console *console)
{
	unsigned columns = console->out_tty ? ol_console_columns(STDOUT_FILENO, 80) : 80;

	return columns > HELP_COLUMNS_MAX ? HELP_COLUMNS_MAX : columns < 50 ? 50 : columns;
}

/* Help is our own text: it may have colours, so it does not pass the filter for what came from
 * outside. */
static void show(ol_console *console, const ol_str *text)
{
	(void)fwrite(ol_str_text(text), 1, text->size, console->out);
}

void ol_help_command(ol_console *console, const ol_command *command)
{
	ol_auto_str ol_str out = OL_STR(HELP_BYTES_MAX);
	size_t width = help_columns(console);

	(void)ol_str_addf(&out, "%sUsage:%s  orlop %s%s%s\n\n", ol_bold(console->out_colour),
		ol_plain(console->out_colour), command->name, *command->usage ? " " : "",
		command->usage);
	wrap(&out, command->summary, 0, 0, width);
	if (command->description) {
		(void)ol_str_addc(&out, '\n');
		wrap(&out, command->description, 0, 0, width);
	}
	if (command->aliases && command->aliases[0].words) {
		title(console, &out, "Aliases");
		for (const ol_alias *a = command->aliases; a->words; a++)
			(void)ol_str_addf(&out, "%s%s",
				a == command->aliases ? "  orlop " : ", orlop ", a->words);
		(void)ol_str_addc(&out, '\n');
	}
	add_options(console, &out, command, width);
	if (command->examples)
		title(console, &out, "Examples");
	for (const ol_example *e = command->examples; e && e->line; e++) {
		(void)ol_str_addf(&out, "%s  %s# %s%s\n", e == command->examples ? "" : "\n",
			ol_dim(console->out_colour), e->does, ol_plain(console->out_colour));
		(void)ol_str_addf(&out, "  orlop %s\n", e->line);
	}
	(void)ol_str_add(&out, "\n`orlop help` shows the global options.\n");
	show(console, &out);
}

static void add_group(ol_console *console, ol_str *out, ol_command_group group, size_t width)
{
	title(console, out, ol_group_title(group));
	for (const ol_command *const *c = ol_commands(); *c; c++) {
		if ((*c)->group != group)
			continue;
		(void)ol_str_addf(out, "  %-10s ", (*c)->name);
		wrap(out, (*c)->summary, 13, 13, width);
	}
}

/* Docker's spellings that start with one word: "image ls". */
static void add_spellings(ol_str *out, const char *group)
{
	size_t size = strlen(group);

	for (const ol_command *const *c = ol_commands(); *c; c++)
		for (const ol_alias *a = (*c)->aliases; a && a->words; a++)
			if (strncmp(a->words, group, size) == 0 && a->words[size] == ' ')
				(void)ol_str_addf(
					out, "  orlop %-20s %s\n", a->words, (*c)->summary);
}

void ol_help_program(ol_console *console, const char *group)
{
	ol_auto_str ol_str out = OL_STR(HELP_BYTES_MAX);
	size_t width = help_columns(console);

	(void)ol_str_addf(&out, "%sUsage:%s  orlop [GLOBAL OPTIONS] %s\n",
		ol_bold(console->out_colour), ol_plain(console->out_colour),
		group ? group : "COMMAND [OPTIONS] [ARGUMENTS]");
	if (group) {
		(void)ol_str_addc(&out, '\n');
		add_spellings(&out, group);
		show(console, &out);
		return;
	}
	(void)ol_str_add(&out,
		"\nPulls container images, keeps them, proves them, mounts them and runs them.\n");
	for (ol_command_group g = OL_GROUP_IMAGES; g < OL_GROUP_HIDDEN; g++)
		add_group(console, &out, g, width);
	title(console, &out, "Global options");
	for (const ol_option *o = ol_global_options(); o->name; o++)
		add_option(&out, o, 22, width);
	add_option(&out,
		&(ol_option){
			.name = "version", .letter = 'v', .help = "Show the version and exit" },
		22, width);
	title(console, &out, "Exit status");
	for (const ol_status_row *row = ol_status_rows(); row->status; row++) {
		(void)ol_str_addf(&out, "  %-6s ", row->status);
		wrap(&out, row->meaning, 9, 9, width);
	}
	title(console, &out, "Examples");
	(void)ol_str_add(
		&out, "  orlop pull debian:12\n  orlop run --rm -it debian:12\n  orlop images\n");
	(void)ol_str_add(&out, "\n`orlop help COMMAND` tells more about a command.\n");
	show(console, &out);
}
