#include "snapshot/lazy_held_priv.h"
#include "tests/check.h"

#define HEX   "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD  "orlop-held 1\nboot b-1\nengine fanotify\n"
#define WHOLE HEAD "holder 12 34\nworker 0 0\n"

static void what_is_held_is_read_back(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{ WHOLE, OL_OK },
		{ WHOLE "layer sha256:" HEX " complete\n", OL_OK },
		{ WHOLE "layer sha256:" HEX " complete\nlayer sha256:" HEX " incomplete\n", OL_OK },
		{ "", OL_ECORRUPT },
		{ "orlop-held 2\n", OL_ECORRUPT },
		{ HEAD, OL_ECORRUPT },
		{ HEAD "holder 12 34\nworker 0 0", OL_ECORRUPT },
		{ HEAD "holder 12\nworker 0 0\n", OL_ECORRUPT },
		{ HEAD "holder 12 34 5\nworker 0 0\n", OL_ECORRUPT },
		{ HEAD "holder -1 34\nworker 0 0\n", OL_ECORRUPT },
		{ HEAD "holder 99999999999 34\nworker 0 0\n", OL_ECORRUPT },
		{ HEAD "worker 0 0\nholder 12 34\n", OL_ECORRUPT },
		{ WHOLE "layer sha256:" HEX "\n", OL_ECORRUPT },
		{ WHOLE "layer sha256:" HEX " maybe\n", OL_ECORRUPT },
		{ WHOLE "layer sha256:" HEX "00 complete\n", OL_ECORRUPT },
		{ WHOLE "\n", OL_ECORRUPT },
		{ "orlop-held 1\nboot b 1\nengine x\nholder 1 1\nworker 0 0\n", OL_ECORRUPT },
		{ "orlop-held 1\nboot b\nengine seventeen-letters\nholder 1 1\nworker 0 0\n",
			OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str text = OL_STR(OL_HELD_BYTES_MAX);
		ol_held held = { .count = 0 };

		CHECK_INT(c->text, c->rc, ol_held_parse(ol_view_of(c->text), &held, NULL));
		if (c->rc == OL_OK) {
			ol_held_format(&held, &text);
			CHECK_STR("again", c->text, ol_str_text(&text));
		}
		ol_held_done(&held);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_held_is_read_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
