#include <ctype.h>

#include "cmd/command.h"
#include "cmd/completion.h"
#include "cmd/help.h"
#include "cmd/man.h"
#include "tests/check.h"

/* What the table of commands must hold for help, manual pages and completion to be right. */

static void every_command_says_what_it_is_and_shows_how(void **state)
{
	(void)state;
	for (const ol_command *const *c = ol_commands(); *c; c++) {
		size_t end = strlen((*c)->summary);

		assert_non_null((*c)->run);
		assert_true(isupper((unsigned char)(*c)->summary[0]));
		CHECK_INT((*c)->name, 0, (*c)->summary[end - 1] == '.');
		assert_non_null((*c)->examples);
		assert_non_null((*c)->examples[0].line);
	}
}

static void no_two_options_of_a_command_share_a_name_or_letter(void **state)
{
	(void)state;
	for (const ol_command *const *c = ol_commands(); *c; c++) {
		ol_tables tables = ol_command_tables(*c);
		unsigned letters[256] = { 0 };

		for (const ol_option *const *t = tables.tables; *t; t++)
			for (const ol_option *o = *t; o->name; o++) {
				unsigned found = 0;

				CHECK_INT(o->name, 0,
					o->letter && letters[(unsigned char)o->letter]++);
				for (const ol_option *const *u = tables.tables; *u; u++)
					for (const ol_option *p = *u; p->name; p++)
						found += strcmp(o->name, p->name) == 0;
				CHECK_INT(o->name, 1, found);
				assert_non_null(o->help);
				if (o->kind != OL_OPTION_REFUSED)
					CHECK_INT(o->name, o->kind != OL_OPTION_FLAG,
						o->value != NULL);
			}
	}
}

static void commands_are_found_by_every_spelling(void **state)
{
	static const struct {
		const char *words[3];
		const char *name;
		int used;
		const char *nearest;
	} cases[] = {
		{ { "pull" }, "pull", 1, "" },
		{ { "image", "pull" }, "pull", 2, "" },
		{ { "image", "ls" }, "images", 2, "" },
		{ { "image", "rm" }, "rmi", 2, "" },
		{ { "container", "ls" }, "ps", 2, "" },
		{ { "container", "inspect" }, "inspect", 2, "" },
		{ { "unmount", "x" }, "umount", 1, "" },
		{ { "system", "info" }, "info", 2, "" },
		{ { "pul" }, "", 0, "pull" },
		{ { "imagse" }, "", 0, "images" },
		{ { "image", "lst" }, "", 0, "image ls" },
		{ { "image" }, "", 0, "" },
		{ { "xyzzy" }, "", 0, "" },
		{ { "" }, "", 0, "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		const char *implied, *nearest;
		int used = 0, count = c->words[1] ? 2 : 1;
		const ol_command *found = ol_command_find(
			(char *const *)(uintptr_t)c->words, count, &used, &implied, &nearest);

		CHECK_STR(c->words[0], c->name, found ? found->name : "");
		CHECK_INT(c->words[0], c->used, found ? used : 0);
		if (*c->nearest)
			CHECK_STR(c->words[0], c->nearest, nearest ? nearest : "(none)");
	}
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned count = 0;

	for (; (text = strstr(text, what)); text++)
		count++;
	return count;
}

/* Each option of each command stands in its manual page, and no text is taken for a macro. */
static void manual_pages_hold_every_option(void **state)
{
	(void)state;
	for (const ol_command *const *c = ol_commands(); *c; c++) {
		ol_auto_str ol_str page = OL_STR(1 << 20);
		size_t count;
		ol_autofree const ol_option **options = ol_sorted_options(*c, &count);

		(void)options; /* only their number is of interest */
		CHECK_INT((*c)->name, OL_OK, ol_man_command(*c, &page, NULL));
		CHECK_INT(
			(*c)->name, (long long)count, count_of(ol_str_text(&page), ".TP\n\\fB\\-"));
		for (const char *line = ol_str_text(&page); *line; line++) {
			line = line == page.data ? line : strchr(line, '\n');
			if (!line)
				break;
			if (line[0] == '\n' && line[1] == '.')
				assert_true(isupper((unsigned char)line[2]) || line[2] == 'n' ||
					    line[2] == 'f');
		}
	}
}

static void completion_knows_every_command(void **state)
{
	static const char *const shells[] = { "bash", "zsh", "fish" };
	ol_auto_str ol_str none = OL_STR(1 << 20);

	(void)state;
	OL_EACH (shells, shell) {
		ol_auto_str ol_str script = OL_STR(1 << 20);

		CHECK_INT(*shell, OL_OK, ol_completion_script(*shell, &script, NULL));
		for (const ol_command *const *c = ol_commands(); *c; c++) {
			bool shown = ol_group_title((*c)->group) != NULL;

			if (shown && !strstr(ol_str_text(&script), (*c)->name))
				fail_msg("%s: no %s", *shell, (*c)->name);
		}
		assert_null(strstr(ol_str_text(&script), "detach"));
	}
	CHECK_INT("tcsh", OL_EINVAL, ol_completion_script("tcsh", &none, NULL));
}

/* What docker run has and orlop run has not is refused by name, never taken and forgotten. */
static void run_refuses_what_it_would_not_do(void **state)
{
	static const struct {
		const char *option, *value, *name;
		int rc;
	} cases[] = {
		{ "--label", "a=b", "--label", OL_EUNSUPPORTED },
		{ "--label=a=b", NULL, "--label", OL_EUNSUPPORTED },
		{ "-l", "a=b", "--label", OL_EUNSUPPORTED },
		{ "--label-file", "f", "--label-file", OL_EUNSUPPORTED },
		{ "--stop-signal", "INT", "--stop-signal", OL_EUNSUPPORTED },
		{ "--stop-signal=9", NULL, "--stop-signal", OL_EUNSUPPORTED },
		{ "--hostname", "h", "", OL_OK },
	};
	const char *words[] = { "run", NULL };
	const char *implied, *nearest;
	int used;
	const ol_command *command =
		ol_command_find((char *const *)(uintptr_t)words, 1, &used, &implied, &nearest);
	ol_tables tables = ol_command_tables(command);
	const ol_grammar grammar = { .tables = tables.tables };

	(void)state;
	OL_EACH (cases, c) {
		const char *argv[] = { c->option, c->value ? c->value : "image", "image", NULL };
		ol_auto(ol_args_free) ol_args *args = NULL;
		ol_error err = { 0 };

		CHECK_INT(c->option, c->rc,
			ol_args_parse(&grammar, 3, (char *const *)(uintptr_t)argv, &args, &err));
		CHECK_INT(c->option, c->rc < 0, err.hint[0] != '\0');
		assert_non_null(strstr(err.text, c->name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_says_what_it_is_and_shows_how),
		cmocka_unit_test(no_two_options_of_a_command_share_a_name_or_letter),
		cmocka_unit_test(commands_are_found_by_every_spelling),
		cmocka_unit_test(manual_pages_hold_every_option),
		cmocka_unit_test(completion_knows_every_command),
		cmocka_unit_test(run_refuses_what_it_would_not_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
