#include "cmd/template.h"
#include "tests/check.h"

static const char document[] =
	"{\"Config\":{\"Cmd\":null,\"Env\":[\"PATH=/bin\",\"HOME=/\"],\"Labels\":{\"a.b/"
	"c\":\"dotted\","
	"\"z\":\"last\"},\"User\":\"\"},\"Empty\":[],\"Float\":1.5,\"Html\":\"<a & "
	"b>\",\"Id\":\"sha256:abc\","
	"\"Mounts\":[{\"RW\":true,\"Source\":\"/a\"},{\"RW\":false,\"Source\":\"/"
	"b\"}],\"Nothing\":null,"
	"\"Numbers\":[1,2,3],\"Off\":false,\"On\":true,\"Size\":7050000,\"Tags\":[\"a:1\",\"b:2\","
	"\"c\"]}";

/* One run; the result, or the error's text. */
static int run(const char *text, int flags, ol_str *out, ol_error *err)
{
	ol_auto(ol_template_free) ol_template *t = NULL;
	ol_auto(ol_json_free) ol_json *data = NULL;
	int rc;

	assert_int_equal(OL_OK, ol_json_parse(ol_view_of(document), &data, err));
	rc = ol_template_parse(ol_view_of(text), flags, &t, err);
	return rc < 0 ? rc : ol_template_run(t, data, false, out, err);
}

/* What Go's text/template with Docker's functions makes of the same (missingkey=error). */
static void a_template_gives_what_go_gives(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
#include "tests/template_rows.inc"
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_OK, run(c->text, 0, &out, &err));
		CHECK_STR(c->text, c->want, ol_str_text(&out));
	}
}

static void what_is_not_understood_is_refused_by_name(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *why;
	} cases[] = {
		{ "{{foo .Id}}", OL_EUNSUPPORTED, "template: function \"foo\" is not supported" },
		{ "{{.Id | foo}}", OL_EUNSUPPORTED, "template: function \"foo\" is not supported" },
		{ "{{printf \"%s\" .Id}}", OL_EUNSUPPORTED,
			"template: \"printf\" is not supported" },
		{ "{{with .Id}}{{end}}", OL_EUNSUPPORTED, "template: \"with\" is not supported" },
		{ "{{define \"x\"}}{{end}}", OL_EUNSUPPORTED,
			"template: \"define\" is not supported" },
		{ "{{range .Tags}}{{break}}{{end}}", OL_EUNSUPPORTED,
			"template: \"break\" is not supported" },
		{ "{{.Nmae}}", OL_EINVAL, "template: map has no entry for key \"Nmae\"" },
		{ "{{.Id.Foo}}", OL_EINVAL,
			"template: .Foo: there are no fields in a value of this type" },
		{ "{{$x}}", OL_EINVAL, "template: undefined variable \"$x\"" },
		{ "{{if .On}}{{$y := 1}}{{end}}{{$y}}", OL_EINVAL,
			"template: undefined variable \"$y\"" },
		{ "{{", OL_EINVAL, "template: unclosed action" },
		{ "{{.Id", OL_EINVAL, "template: unclosed action" },
		{ "{{}}", OL_EINVAL, "template: byte 2: missing value" },
		{ "{{.Id}", OL_EINVAL, "template: byte 5: unexpected \"}\"" },
		{ "{{.Id |}}", OL_EINVAL, "template: byte 7: missing value" },
		{ "{{| .Id}}", OL_EINVAL, "template: byte 2: unexpected \"|\" in command" },
		{ "{{.Id .Size}}", OL_EINVAL,
			"template: byte 2: a value is not a function: it takes no arguments" },
		{ "{{.Id | .Size}}", OL_EINVAL,
			"template: byte 8: a value is not a function: it takes no arguments" },
		{ "{{\"x}}", OL_EINVAL, "template: byte 2: unterminated quoted string" },
		{ "{{\"\\q\"}}", OL_EINVAL, "template: byte 4: unknown escape in a string" },
		{ "{{`x}}", OL_EINVAL, "template: byte 2: unterminated raw quoted string" },
		{ "{{/* x }}", OL_EINVAL, "template: byte 2: unclosed comment" },
		{ "{{if .On}}x", OL_EINVAL, "template: unexpected end: if lacks {{end}}" },
		{ "{{range .Tags}}x", OL_EINVAL, "template: unexpected end: range lacks {{end}}" },
		{ "x{{end}}", OL_EINVAL, "template: unexpected {{end}}" },
		{ "{{else}}", OL_EINVAL, "template: unexpected {{else}}" },
		{ "{{if .On}}{{else}}{{else}}{{end}}", OL_EINVAL,
			"template: byte 24: a second else" },
		{ "{{if}}{{end}}", OL_EINVAL, "template: byte 4: missing value" },
		{ "{{(.Id}}", OL_EINVAL, "template: byte 6: unclosed left paren" },
		{ "{{.Id)}}", OL_EINVAL, "template: byte 5: unexpected \")\" in command" },
		{ "{{3x}}", OL_EINVAL, "template: byte 2: bad number \"3x\"" },
		{ "{{99999999999999999999}}", OL_EINVAL,
			"template: byte 2: bad number \"99999999999999999999\"" },
		{ "{{index .Tags 3}}", OL_EINVAL,
			"template: error calling index: index out of range: 3" },
		{ "{{index .Tags -1}}", OL_EINVAL,
			"template: error calling index: index out of range: -1" },
		{ "{{index .Tags \"a\"}}", OL_EINVAL,
			"template: index: wants a number for a list" },
		{ "{{index .Id 0}}", OL_EINVAL,
			"template: error calling index: can't index this value" },
		{ "{{join .Id \",\"}}", OL_EINVAL, "template: join: wants a list and a string" },
		{ "{{join .Tags}}", OL_EINVAL, "template: wrong number of arguments for join: 1" },
		{ "{{eq .Id 1}}", OL_EINVAL,
			"template: error calling eq: incompatible types for comparison" },
		{ "{{len .Size}}", OL_EINVAL, "template: len: wants a string, list or map" },
		{ "{{range .Id}}x{{end}}", OL_EINVAL,
			"template: range can't iterate over this value" },
		{ "{{$a, $b := .Tags}}", OL_EINVAL,
			"template: byte 9: two variables belong to a range" },
		{ "{{\"x\".Id}}", OL_EINVAL, "template: byte 5: unexpected \".Id\" in operand" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, run(c->text, 0, &out, &err));
		CHECK_STR(c->text, c->why, err.text);
	}
}

static void escapes_count_outside_actions_only(void **state)
{
	ol_auto_str ol_str out = OL_STR(4096), plain = OL_STR(4096);

	(void)state;
	CHECK_INT("list", OL_OK,
		run("a\\tb\\n{{join .Tags \"\\t\"}}\\x", OL_TEMPLATE_ESCAPES, &out, NULL));
	CHECK_STR("list", "a\tb\na:1\tb:2\tc\\x", ol_str_text(&out));
	CHECK_INT("inspect", OL_OK, run("a\\tb", 0, &plain, NULL));
	CHECK_STR("inspect", "a\\tb", ol_str_text(&plain));
}

static void headings_pass_through_functions(void **state)
{
	ol_auto(ol_template_free) ol_template *t = NULL;
	ol_auto(ol_json_free) ol_json *row = ol_json_object();
	ol_auto_str ol_str out = OL_STR(4096);

	(void)state;
	ol_json_set_text(row, "ID", "IMAGE ID");
	CHECK_INT("parse", OL_OK,
		ol_template_parse(
			ol_view_of("{{json .ID}}\t{{truncate .ID 3}}{{lower .ID}}"), 0, &t, NULL));
	CHECK_INT("run", OL_OK, ol_template_run(t, row, true, &out, NULL));
	CHECK_STR("text", "IMAGE ID\tIMAGE IDIMAGE ID", ol_str_text(&out));
}

/* Nested ranges multiply, and so do nested blocks on the stack: both are bounded. */
static void work_and_depth_are_bounded(void **state)
{
	ol_auto_str ol_str deep = OL_STR(1 << 16), wide = OL_STR(1 << 16), out = OL_STR(1 << 20);
	ol_auto_str ol_str parens = OL_STR(1 << 16), big = OL_STR(1 << 20);
	ol_error err = { 0 };

	(void)state;
	for (int i = 0; i < 40; i++)
		(void)ol_str_add(&deep, "{{if .On}}");
	CHECK_INT("deep", OL_ELIMIT, run(ol_str_text(&deep), 0, &out, &err));
	for (int i = 0; i < 40; i++)
		(void)ol_str_add(&parens, i ? "(" : "{{");
	CHECK_INT("parens", OL_ELIMIT, run(ol_str_text(&parens), 0, &out, &err));
	for (int i = 0; i < 16; i++)
		(void)ol_str_add(&wide, "{{range $.Tags}}");
	for (int i = 0; i < 16; i++)
		(void)ol_str_add(&wide, "{{end}}");
	CHECK_INT("wide", OL_ELIMIT, run(ol_str_text(&wide), 0, &out, &err));
	CHECK_STR("wide", "template: it takes too long or makes too much", err.text);
	while (big.size <= OL_TEMPLATE_BYTES_MAX)
		(void)ol_str_add(&big, "xxxxxxxxxxxxxxxx");
	CHECK_INT("big", OL_ELIMIT, run(ol_str_text(&big), 0, &out, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_template_gives_what_go_gives),
		cmocka_unit_test(what_is_not_understood_is_refused_by_name),
		cmocka_unit_test(escapes_count_outside_actions_only),
		cmocka_unit_test(headings_pass_through_functions),
		cmocka_unit_test(work_and_depth_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
