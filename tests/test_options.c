#include "base/str.h"
#include "cmd/option.h"
#include "tests/check.h"

static const ol_option own[] = {
	{ .name = "quiet", .letter = 'q', .kind = OL_OPTION_FLAG, .help = "x" },
	{ .name = "interactive", .letter = 'i', .kind = OL_OPTION_FLAG, .help = "x" },
	{ .name = "tty", .letter = 't', .kind = OL_OPTION_FLAG, .help = "x" },
	{ .name = "env", .letter = 'e', .kind = OL_OPTION_LIST, .value = "KEY", .help = "x" },
	{ .name = "env-file", .kind = OL_OPTION_LIST, .value = "FILE", .help = "x" },
	{ .name = "name", .kind = OL_OPTION_TEXT, .value = "NAME", .help = "x" },
	{ .name = "progress",
		.kind = OL_OPTION_TEXT,
		.value = "HOW",
		.choices = "auto|plain|json",
		.help = "x" },
	{ .name = "detach", .letter = 'd', .kind = OL_OPTION_REFUSED, .help = "leave it out" },
	{ 0 },
};
static const ol_option global[] = {
	{ .name = "root", .kind = OL_OPTION_TEXT, .value = "DIR", .help = "x" },
	{ .name = "help", .kind = OL_OPTION_FLAG, .help = "x" },
	{ 0 },
};
static const ol_option *const tables[] = { own, global, NULL };

#define ARGS(...)                                                                                  \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static int count_of(const char *const *list)
{
	int count = 0;

	while (list[count])
		count++;
	return count;
}

static int parse(const char *const *argv, unsigned options_end, ol_args **out, ol_error *err)
{
	const ol_grammar grammar = {
		.tables = tables, .options_end = options_end, .h_is_help = true
	};

	return ol_args_parse(&grammar, count_of(argv), (char *const *)(uintptr_t)argv, out, err);
}

/* "q i t name progress root | env… | env-file… | words…" */
static void describe(const ol_args *args, ol_str *out)
{
	static const char *const flags[] = { "quiet", "interactive", "tty", "help" };
	static const char *const texts[] = { "name", "progress", "root" };
	static const char *const lists[] = { "env", "env-file" };

	OL_EACH (flags, f)
		if (ol_args_flag(args, *f))
			(void)ol_str_addf(out, "%s ", *f);
	OL_EACH (texts, t)
		if (ol_args_has(args, *t))
			(void)ol_str_addf(out, "%s=%s ", *t, ol_args_text(args, *t));
	OL_EACH (lists, l)
		for (const char *const *v = ol_args_list(args, *l); *v; v++)
			(void)ol_str_addf(out, "%s:%s ", *l, *v);
	(void)ol_str_add(out, "|");
	for (const char *const *w = ol_args_words(args, 0); *w; w++)
		(void)ol_str_addf(out, " %s", *w);
}

static void every_spelling_of_an_option_is_read(void **state)
{
	static const struct {
		const char *argv[10];
		unsigned options_end;
		const char *want;
	} cases[] = {
		{ { NULL }, 0, "|" },
		{ ARGS("a", "b"), 0, "| a b" },
		{ ARGS("-q", "a"), 0, "quiet | a" },
		{ ARGS("a", "-q"), 0, "quiet | a" },
		{ ARGS("-it", "a"), 0, "interactive tty | a" },
		{ ARGS("--quiet=false", "--tty=1"), 0, "tty |" },
		{ ARGS("-q", "--quiet=false"), 0, "|" },
		{ ARGS("-q=false", "-t=true"), 0, "tty |" },
		{ ARGS("-qh"), 0, "quiet help |" },
		{ ARGS("--name", "n", "--root=/r"), 0, "name=n root=/r |" },
		{ ARGS("--name="), 0, "name= |" },
		{ ARGS("--name", "a", "--name", "b"), 0, "name=b |" },
		{ ARGS("--name", "-q"), 0, "name=-q |" },
		{ ARGS("-e", "A=1", "-eB=2", "-e=C=3", "--env=D", "--env", "E"), 0,
			"env:A=1 env:B=2 env:C=3 env:D env:E |" },
		{ ARGS("-ite", "A"), 0, "interactive tty env:A |" },
		{ ARGS("-iteA"), 0, "interactive tty env:A |" },
		{ ARGS("-e", "A", "--env-file", "f", "-e", "B"), 0, "env:A env:B env-file:f |" },
		{ ARGS("--", "-q", "--foo"), 0, "| -q --foo" },
		{ ARGS("a", "--", "--"), 0, "| a --" },
		{ ARGS("-"), 0, "| -" },
		{ ARGS("-q", "image", "-t", "--foo", "--", "x"), 1, "quiet | image -t --foo -- x" },
		{ ARGS("image", "-t", "dir", "-i", "cmd"), 2, "tty | image dir -i cmd" },
		{ ARGS("--", "image", "-t"), 1, "| image -t" },
		{ ARGS("--progress", "json"), 0, "progress=json |" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_args_free) ol_args *args = NULL;
		ol_auto_str ol_str got = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->want, OL_OK, parse(c->argv, c->options_end, &args, &err));
		describe(args, &got);
		CHECK_STR(c->want, c->want, ol_str_text(&got));
	}
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *argv[4];
		int rc;
		const char *text, *hint;
	} cases[] = {
		{ ARGS("--quite"), OL_EINVAL, "unknown flag: --quite", "did you mean --quiet?" },
		{ ARGS("--prog=json"), OL_EINVAL, "unknown flag: --prog",
			"did you mean --progress?" },
		{ ARGS("--xyzzy"), OL_EINVAL, "unknown flag: --xyzzy", "" },
		{ ARGS("--=x"), OL_EINVAL, "unknown flag: --", "" },
		{ ARGS("-z"), OL_EINVAL, "unknown shorthand flag: 'z' in -z", "" },
		{ ARGS("-qz"), OL_EINVAL, "unknown shorthand flag: 'z' in -qz", "" },
		{ ARGS("--name"), OL_EINVAL, "flag needs an argument: --name", "" },
		{ ARGS("-qe"), OL_EINVAL, "flag needs an argument: 'e' in -qe", "" },
		{ ARGS("--tty=maybe"), OL_EINVAL,
			"invalid argument \"maybe\" for \"--tty\" flag: it is true or false", "" },
		{ ARGS("-t="), OL_EINVAL,
			"invalid argument \"\" for \"--tty\" flag: it is true or false", "" },
		{ ARGS("--progress=loud"), OL_EINVAL,
			"invalid argument \"loud\" for \"--progress\" flag",
			"it is one of auto|plain|json" },
		{ ARGS("--progress=aut"), OL_EINVAL,
			"invalid argument \"aut\" for \"--progress\" flag",
			"it is one of auto|plain|json" },
		{ ARGS("--progress="), OL_EINVAL, "invalid argument \"\" for \"--progress\" flag",
			"it is one of auto|plain|json" },
		{ ARGS("-d"), OL_EUNSUPPORTED, "-d, --detach is not supported", "leave it out" },
		{ ARGS("--detach=true"), OL_EUNSUPPORTED, "-d, --detach is not supported",
			"leave it out" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_args_free) ol_args *args = NULL;
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, parse(c->argv, 0, &args, &err));
		CHECK_STR(c->text, c->text, err.text);
		CHECK_STR(c->text, c->hint, err.hint);
		assert_null(args);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_of_an_option_is_read),
		cmocka_unit_test(what_is_wrong_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
