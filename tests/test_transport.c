/* Names of places, as users of skopeo type them. */
#include <string.h>

#include "base/alloc.h"
#include "image/transport_priv.h"
#include "tests/check.h"

static void a_name_says_which_transport_and_what_there(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *prefix, *path, *name;
	} cases[] = {
		{ "docker://debian:12", OL_OK, "docker://", "", "debian:12" },
		{ "docker://127.0.0.1:5000/a/b@sha256:"
		  "4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1",
			OL_OK, "docker://", "",
			"127.0.0.1:5000/a/b@sha256:"
			"4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1" },
		{ "oci:/tmp/x", OL_OK, "oci:", "/tmp/x", "" },
		{ "oci:x:v1", OL_OK, "oci:", "x", "v1" },
		{ "oci:x:a/b:c@d", OL_OK, "oci:", "x", "a/b:c@d" },
		{ "oci-archive:x.tar:v1", OL_OK, "oci-archive:", "x.tar", "v1" },
		{ "docker-archive:x.tar:name/x:1", OL_OK, "docker-archive:", "x.tar", "name/x:1" },
		{ "debian:12", OL_OK, "store:", "", "debian:12" },
		{ "store:debian:12", OL_OK, "store:", "", "debian:12" },
		{ "store:0123456789ab", OL_OK, "store:", "", "0123456789ab" },
		{ "oci-thing/x", OL_OK, "store:", "", "oci-thing/x" },
		{ "ocix:1", OL_OK, "store:", "", "ocix:1" },
		{ "docker://", OL_EINVAL, "", "", "" },
		{ "docker://UPPER", OL_EINVAL, "", "", "" },
		{ "docker:debian", OL_EINVAL, "", "", "" },
		{ "docker-daemon:debian:12", OL_EINVAL, "", "", "" },
		{ "ftp://example.com/x", OL_EINVAL, "", "", "" },
		{ "containers-storage:debian", OL_EINVAL, "", "", "" },
		{ "dir:/tmp/x", OL_EINVAL, "", "", "" },
		{ "https://reg.example/x", OL_EINVAL, "", "", "" },
		{ "oci:", OL_EINVAL, "", "", "" },
		{ "oci::v1", OL_EINVAL, "", "", "" },
		{ "oci:x:", OL_EINVAL, "", "", "" },
		{ "docker-archive:", OL_EINVAL, "", "", "" },
		{ "store:", OL_EINVAL, "", "", "" },
		{ "", OL_EINVAL, "", "", "" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_place place = { 0 };

		CHECK_INT(c->text, c->rc, ol_place_parse(c->text, &place, NULL));
		CHECK_STR(c->text, c->prefix, place.transport ? place.transport->prefix : "");
		CHECK_STR(c->text, c->path, place.path ? place.path : "");
		CHECK_STR(c->text, c->name, place.name ? place.name : "");
		ol_place_done(&place);
	}
}

static void a_path_has_a_bound(void **state)
{
	ol_autofree char *text = ol_alloc(OL_PATH_MAX + 100);
	ol_place place = { 0 };

	(void)state;
	memset(text, 'x', OL_PATH_MAX + 50);
	memcpy(text, "oci:", 4);
	CHECK_INT("path", OL_ELIMIT, ol_place_parse(text, &place, NULL));
	text[6] = ':';
	CHECK_INT("name", OL_ELIMIT, ol_place_parse(text, &place, NULL));
	text[60] = '\0';
	CHECK_INT("fits", OL_OK, ol_place_parse(text, &place, NULL));
	ol_place_done(&place);
}

/* Every row can be read from and written to, one way or the other. */
static void every_transport_goes_both_ways(void **state)
{
	(void)state;
	for (const ol_transport *t = ol_transports(); t->prefix; t++) {
		CHECK_INT(t->prefix, true, t->read || t->take_in);
		CHECK_INT(t->prefix, true, t->write || t->give_out);
		CHECK_INT(t->prefix, true, t->take_in != NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_says_which_transport_and_what_there),
		cmocka_unit_test(a_path_has_a_bound),
		cmocka_unit_test(every_transport_goes_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
