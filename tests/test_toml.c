/* TOML 1.0.0: what is good is read right, what is not is refused at its place. */
#include <math.h>

#include "base/limits.h"
#include "base/str.h"
#include "fetch/toml.h"
#include "tests/check.h"

/* A tree as one line, for comparing. */
static void show(const ol_toml *value, ol_str *out)
{
	const char *comma = "";
	const bool table = ol_toml_is_table(value);

	switch (ol_toml_type_of(value)) {
	case OL_TOML_STRING:
		(void)ol_str_addf(out, "'%s'", ol_toml_text(value));
		break;
	case OL_TOML_DATE:
		(void)ol_str_addf(out, "<%s>", ol_toml_text(value));
		break;
	case OL_TOML_INTEGER:
		(void)ol_str_addf(out, "%lld", (long long)ol_toml_int(value, -1));
		break;
	case OL_TOML_FLOAT:
		(void)ol_str_addf(out, "%g", ol_toml_real(value, -1));
		break;
	case OL_TOML_BOOL:
		(void)ol_str_add(out, ol_toml_true(value) ? "yes" : "no");
		break;
	case OL_TOML_ARRAY:
	case OL_TOML_TABLE:
		(void)ol_str_addc(out, table ? '{' : '[');
		for (const ol_toml *v = ol_toml_first(value); v; v = ol_toml_next(v), comma = ",") {
			(void)ol_str_addf(out, "%s%s%s", comma, table ? ol_toml_key(v) : "",
				table ? ":" : "");
			show(v, out);
		}
		(void)ol_str_addc(out, table ? '}' : ']');
		break;
	}
}

static void a_document_is_read(void **state)
{
	static const struct {
		const char *text, *tree;
	} cases[] = {
		{ "", "{}" },
		{ "# nothing", "{}" },
		{ "\xef\xbb\xbf"
		  "a=1\n",
			"{a:1}" },
		{ "a = 1\r\n\r\nb = 2\r\n", "{a:1,b:2}" },
		{ "a = 1 # one\n\t b\t=\t2", "{a:1,b:2}" },
		{ "z=1\na=2\nm=3\n", "{z:1,a:2,m:3}" },
		/* keys */
		{ "\"a b\" = 1\n'c.d' = 2\n\"\" = 3\n1234 = 4\na-b_c = 5\n",
			"{a b:1,c.d:2,:3,1234:4,a-b_c:5}" },
		{ "a.b.c = 1\na . \"x.y\" = 2\n3.14 = 5\n", "{a:{b:{c:1},x.y:2},3:{14:5}}" },
		{ "a.b = 1\nc = 2\na.d = 3\n", "{a:{b:1,d:3},c:2}" },
		/* strings */
		{ "a = \"x\\ty \\\"q\\\" \\\\ \\u00e9 \\U0001F600\"",
			"{a:'x\ty \"q\" \\ \xc3\xa9 \xf0\x9f\x98\x80'}" },
		{ "a = \"\\b\\f\\n\\r\"", "{a:'\b\f\n\r'}" },
		{ "a = 'C:\\x \"q\"'", "{a:'C:\\x \"q\"'}" },
		{ "a = \"\"\nb = ''\n", "{a:'',b:''}" },
		{ "a = \"\"\"\none\n two\"\"\"", "{a:'one\n two'}" },
		{ "a = \"\"\"\r\none\\\r\n \r\n  two\\  \n three\"\"\"", "{a:'onetwothree'}" },
		{ "a = \"\"\"\"q\"\" and \\\"\"\" \"\"\"\"\"", "{a:'\"q\"\" and \"\"\" \"\"'}" },
		{ "a = '''\n'q' ''x''\n'''", "{a:''q' ''x''\n'}" },
		{ "a = ''''''", "{a:''}" },
		{ "a = '''''x'''''", "{a:'''x'''}" },
		/* numbers */
		{ "a=[+99,42,0,-17,1_000,5_349_221]", "{a:[99,42,0,-17,1000,5349221]}" },
		{ "a=[0xDEAD_beef,0o755,0b1101,+0,-0]", "{a:[3735928559,493,13,0,0]}" },
		{ "a=[9223372036854775807,-9223372036854775808]",
			"{a:[9223372036854775807,-9223372036854775808]}" },
		{ "a=[1.5,-0.25,5e+22,1e06,-2E-2,6.5e-4,1_0.5_0]",
			"{a:[1.5,-0.25,5e+22,1e+06,-0.02,0.00065,10.5]}" },
		{ "a=[inf,-inf,+inf,1e999]", "{a:[inf,-inf,inf,inf]}" },
		{ "a=[true,false]", "{a:[yes,no]}" },
		/* dates */
		{ "a=1979-05-27T07:32:00Z\nb=1979-05-27 00:32:00.999999-07:00\n",
			"{a:<1979-05-27T07:32:00Z>,b:<1979-05-27 00:32:00.999999-07:00>}" },
		{ "a=1979-05-27t07:32:00\nb=2000-02-29\nc=07:32:00.5 # late",
			"{a:<1979-05-27t07:32:00>,b:<2000-02-29>,c:<07:32:00.5>}" },
		/* arrays, inline tables */
		{ "a=[]\nb=[ 1 , ]\nc=[\n# x\n1,\n\n2 # y\n,]", "{a:[],b:[1],c:[1,2]}" },
		{ "a=[[1,2],['x',{b=1}]]", "{a:[[1,2],['x',{b:1}]]}" },
		{ "a={ }\nb={x=1, y.z=2,\"q\"={}}", "{a:{},b:{x:1,y:{z:2},q:{}}}" },
		/* tables */
		{ "[a]\nx=1\n[b.c]\n[ b . d ] # y\nz=2\n", "{a:{x:1},b:{c:{},d:{z:2}}}" },
		{ "[a.b]\nx=1\n[a]\ny=2\n", "{a:{b:{x:1},y:2}}" },
		{ "[host.\"https://a:5000/v2\"]\nx=1\n[host.'b']",
			"{host:{https://a:5000/v2:{x:1},b:{}}}" },
		{ "[[p]]\nn=1\n[[p]]\n[[p]]\nn=3\n", "{p:[{n:1},{},{n:3}]}" },
		{ "[[f]]\nn=1\n[f.p]\nc=2\n[[f.v]]\nn=3\n[[f.v]]\n[[f]]\n[[f.v]]\nn=4",
			"{f:[{n:1,p:{c:2},v:[{n:3},{}]},{v:[{n:4}]}]}" },
		{ "[fruit]\napple.color=1\napple.taste.sweet=true\n[fruit.apple.texture]\nsmooth="
		  "true",
			"{fruit:{apple:{color:1,taste:{sweet:yes},texture:{smooth:yes}}}}" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_toml_free) ol_toml *root = NULL;
		ol_auto_str ol_str tree = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_OK, ol_toml_parse(ol_view_of(c->text), &root, &err));
		show(root, &tree);
		CHECK_STR(c->text, c->tree, ol_str_text(&tree));
	}
}

static const struct {
	const char *text, *place;
} refused[] = {
	{ "a", "line 1, column 2: \"=\" is expected" },
	{ "a =", "line 1, column 4: a value is missing" },
	{ "= 1", "line 1, column 1: a key is expected" },
	{ "a = 1 b = 2", "line 1, column 7: something else follows" },
	{ "\n\na = 1\n b = \"x", "line 4, column 8: a string does not end" },
	{ "a = 1\na = 2", "line 2, column 3: the key is defined already" },
	{ "a = 1\n\"a\" = 2", "line 2" },
	{ "a.b = 1\na = 2", "line 2" },
	{ "a = 1\na.b = 2", "line 2" },
	{ "a..b = 1", "line 1, column 3: a key is expected" },
	{ ".a = 1", "line 1, column 1" },
	{ "a. = 1", "line 1, column 4" },
	{ "a b = 1", "line 1, column 3: \"=\" is expected" },
	{ "\xc3\xa9 = 1", "line 1, column 1: a key is expected" },
	{ "\"\"\"a\"\"\" = 1", "a key cannot be a string of several lines" },
	{ "a = \"x\ny\"", "line 1, column 7: a string does not end on its line" },
	{ "a = 'x", "a string does not end" },
	{ "a = \"\"\"x\"\"", "a string does not end" },
	{ "a = '''x", "a string does not end" },
	{ "a = \"\\x41\"", "line 1, column 7: there is no such escape" },
	{ "a = \"\\ud800\"", "no Unicode character" },
	{ "a = \"\\U00110000\"", "no Unicode character" },
	{ "a = \"\\u12\"", "too few hexadecimal digits" },
	{ "a = \"\\u0000\"", "NUL" },
	{ "a = \"x\x01\"", "control character" },
	{ "a = \"x\x7f\"", "control character" },
	{ "a = \"\"\"x\ry\"\"\"", "control character" },
	{ "a = \"\"\"x\\ y\"\"\"", "there is no such escape" },
	{ "# \x01", "control character stands in a comment" },
	{ "a = 1\rb = 2", "something else follows" },
	{ "a = \"\xff\"", "line 1, column 6: this is not UTF-8" },
	{ "a = 1\n# \xc3", "line 2, column 3: this is not UTF-8" },
	{ "a = 01", "no value" },
	{ "a = 1__0", "no value" },
	{ "a = 1_", "no value" },
	{ "a = _1", "no value" },
	{ "a = 1.", "ends at its point" },
	{ "a = .5", "no value" },
	{ "a = 1.e5", "ends at its point" },
	{ "a = 1e", "no exponent" },
	{ "a = 1x", "wrong digit" },
	{ "a = +0x1", "wrong digit" },
	{ "a = 0x", "wrong digit" },
	{ "a = 0b2", "wrong digit" },
	{ "a = 0o8", "wrong digit" },
	{ "a = 0XF", "wrong digit" },
	{ "a = 9223372036854775808", "more than 64 bits" },
	{ "a = 0x10000000000000000", "more than 64 bits" },
	{ "a = True", "no value" },
	{ "a = tru", "no value" },
	{ "a = Inf", "no value" },
	{ "a = 1979-02-29", "no date" },
	{ "a = 1979-13-01", "no date" },
	{ "a = 1979-05-27T25:00:00", "no date" },
	{ "a = 1979-05-27T07:32", "no date" },
	{ "a = 1979-05-27T07:32:00+7:00", "no date" },
	{ "a = 07:32", "no date" },
	{ "a = 07:32:00.", "no date" },
	{ "a = [1", "\",\" or \"]\" is expected" },
	{ "a = [1 2]", "line 1, column 8: \",\" or \"]\" is expected" },
	{ "a = [,1]", "a value is missing" },
	{ "a = {x=1,}", "a key is expected" },
	{ "a = {x=1\n}", "\",\" or \"}\" is expected" },
	{ "a = {x=1,x=2}", "defined already" },
	{ "a = {x=1}\na.y=2", "line 2" },
	{ "a = {x=1}\n[a]", "line 2, column 3: the table is defined already" },
	{ "a = {x={}}\n[a.x.y]", "something else already" },
	{ "a = {b={x=1},b.y=2}", "defined already" },
	{ "[a]\n[a]", "line 2, column 3: the table is defined already" },
	{ "[a]\nb=1\n[a.b]", "line 3" },
	{ "[a]\nb=1\n[a.b.c]", "line 3" },
	{ "[a.b]\nx=1\n[a]\nb.y=2", "line 4" },
	{ "a.b.c=1\n[a.b]", "line 2" },
	{ "a.b=1\n[a]", "line 2" },
	{ "a=[]\n[[a]]", "line 2" },
	{ "a=[{x=1}]\n[a.b]", "line 2" },
	{ "[[a]]\n[a]", "line 2" },
	{ "[a]\n[[a]]", "line 2" },
	{ "[[a]\n", "\"]]\" is expected" },
	{ "[a", "\"]\" is expected" },
	{ "[a]]", "something else follows" },
	{ "[]", "a key is expected" },
	{ "[a.]", "a key is expected" },
	{ "[a] b=1", "something else follows" },
	{ "[ [a]]", "a key is expected" },
};

static void what_is_no_toml_is_refused_at_its_place(void **state)
{
	(void)state;
	OL_EACH (refused, c) {
		ol_toml *root = NULL;
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_EINVAL, ol_toml_parse(ol_view_of(c->text), &root, &err));
		if (!strstr(err.text, c->place))
			CHECK_STR(c->text, c->place, err.text);
		assert_null(root);
	}
}

static void a_nul_byte_is_refused(void **state)
{
	static const char text[] = "a = \"x\0y\"";
	ol_toml *root = NULL;

	(void)state;
	CHECK_INT("in a string", OL_EINVAL,
		ol_toml_parse(ol_view_from(text, sizeof text - 1), &root, NULL));
	CHECK_INT("alone", OL_EINVAL, ol_toml_parse(ol_view_from("\0", 1), &root, NULL));
}

/* Depth and number have bounds, and what is just below them is read. */
static void what_is_too_much_is_refused(void **state)
{
	static const struct {
		const char *begin, *more, *end;
		int times, rc;
	} cases[] = {
		{ "a=", "[", "", OL_TOML_DEPTH_MAX, OL_ELIMIT },
		{ "a=", "{a=", "", OL_TOML_DEPTH_MAX, OL_ELIMIT },
		{ "a", ".a", "=1", OL_TOML_DEPTH_MAX, OL_ELIMIT },
		{ "a", ".a", "=1", OL_TOML_DEPTH_MAX - 1, OL_OK },
		{ "[a", ".a", "]", OL_TOML_DEPTH_MAX, OL_ELIMIT },
		{ "a=[", "1,", "]", OL_TOML_VALUES_MAX, OL_ELIMIT },
		{ "a=[", "1,", "]", OL_TOML_VALUES_MAX - 1, OL_OK },
		{ "", "[[a]]\n", "", OL_TOML_VALUES_MAX, OL_ELIMIT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_toml_free) ol_toml *root = NULL;
		ol_auto_str ol_str text = OL_STR((size_t)1 << 20);

		(void)ol_str_add(&text, c->begin);
		for (int i = 0; i < c->times; i++)
			(void)ol_str_add(&text, c->more);
		(void)ol_str_add(&text, c->end);
		CHECK_INT(c->more, c->rc, ol_toml_parse(ol_buf_view(&text), &root, NULL));
	}
}

static void members_are_read_by_their_type(void **state)
{
	static const char text[] = "s='x'\nb=true\nt={}\na=['p','q']\nmixed=['p',1]\n";
	ol_auto(ol_toml_free) ol_toml *root = NULL;
	const char *s = NULL;
	const ol_toml *v = NULL;
	ol_error err = { 0 };
	bool b = false;

	(void)state;
	CHECK_INT("parse", OL_OK, ol_toml_parse(ol_view_of(text), &root, NULL));
	CHECK_INT("text", OL_OK, ol_toml_get_text(root, "s", &s, NULL));
	CHECK_STR("text", "x", s);
	CHECK_INT("bool", OL_OK, ol_toml_get_bool(root, "b", &b, NULL));
	assert_true(b);
	CHECK_INT("texts", OL_OK, ol_toml_get_texts(root, "a", &v, NULL));
	CHECK_INT("texts", 2, (long long)ol_toml_count(v));
	CHECK_INT("absent", OL_OK, ol_toml_get_text(root, "none", &s, NULL));
	CHECK_STR("absent", "x", s);
	CHECK_INT("wrong", OL_EINVAL, ol_toml_get_bool(root, "s", &b, &err));
	CHECK_STR("wrong", "line 1: s is a string, and must be a boolean", err.text);
	CHECK_INT("mixed", OL_EINVAL, ol_toml_get_texts(root, "mixed", &v, &err));
	CHECK_STR("mixed", "line 5: mixed holds an integer, and only strings may", err.text);
	CHECK_INT("table", OL_EINVAL, ol_toml_get_table(root, "a", &v, NULL));
	assert_null(ol_toml_get(ol_toml_get(root, "none"), "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_is_read),
		cmocka_unit_test(what_is_no_toml_is_refused_at_its_place),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(what_is_too_much_is_refused),
		cmocka_unit_test(members_are_read_by_their_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
