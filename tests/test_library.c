#include <string.h>

#include "base/library.h"
#include "tests/check.h"

static void a_library_gives_all_its_symbols_or_none(void **state)
{
	static const struct {
		const char *label, *soname, *second, *text;
		int rc;
	} cases[] = {
		{ "all there", "libm.so.6", "floor", "", OL_OK },
		{ "no such library", "libnosuch.so.1", "floor", "libnosuch.so.1", OL_EUNSUPPORTED },
		{ "no such symbol", "libm.so.6", "nosuch", "libm.so.6 has no function nosuch",
			OL_EUNSUPPORTED },
	};

	(void)state;
	OL_EACH (cases, c) {
		void *first = NULL, *second = NULL;
		const ol_library_symbol symbols[] = { { "ceil", &first }, { c->second, &second } };
		ol_error err = { 0 };
		int rc = ol_library_load(c->soname, "libpackage1", symbols, 2, &err);

		CHECK_INT(c->label, c->rc, rc);
		CHECK_INT(c->label, c->rc == OL_OK, first != NULL);
		CHECK_INT(c->label, c->rc == OL_OK, second != NULL);
		CHECK_INT(c->label, 1, strstr(err.text, c->text) != NULL);
		CHECK_INT(c->label, c->rc < 0, strstr(err.hint, "libpackage1") != NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_library_gives_all_its_symbols_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
