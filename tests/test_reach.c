#include <stdlib.h>

#include "base/alloc.h"
#include "store/reach.h"
#include "tests/store_box.h"

static void edge(ol_store *store, const ol_digest *parent, const ol_digest *a, const ol_digest *b)
{
	const ol_digest children[] = { *a, *b };

	CHECK_INT("edges", OL_OK, ol_blob_set_edges(store, parent, children, 2, NULL));
}

static void name(ol_store *store, const char *text, const ol_digest *root)
{
	const ol_name_info info = { .name = text, .root = *root, .media_type = "a/b" };

	CHECK_INT(text, OL_OK, ol_name_set(store, &info, NULL));
}

static size_t count_roots(ol_store *store, const ol_digest *digest, size_t max)
{
	ol_autofree ol_digest *roots = NULL;
	size_t count = 0;

	CHECK_INT("roots", OL_OK, ol_reach_roots(store, digest, max, &roots, &count, NULL));
	return count;
}

/* index → (one → config, shared), (two → other, shared); lone → other, shared; unnamed → config. */
static void roots_are_found_upwards(void **state)
{
	store_box *box = *state;
	ol_store *store = box->store;
	const ol_digest index = box_blob(store, "index"), one = box_blob(store, "one"),
			two = box_blob(store, "two"), lone = box_blob(store, "lone"),
			unnamed = box_blob(store, "unnamed"), config = box_blob(store, "config"),
			other = box_blob(store, "other"), shared = box_blob(store, "shared"),
			nothing = box_digest("nothing");
	ol_autofree ol_digest *roots = NULL;
	size_t count = 0;

	edge(store, &index, &one, &two);
	edge(store, &one, &config, &shared);
	edge(store, &two, &other, &shared);
	edge(store, &lone, &other, &shared);
	edge(store, &unnamed, &config, &shared);
	name(store, "reg.example/multi:1", &index);
	name(store, "reg.example/multi:2", &index);
	name(store, "reg.example/lone:1", &lone);
	CHECK_INT("a root is its own", 1, (long long)count_roots(store, &index, 10));
	CHECK_INT("two levels up, two names", 1, (long long)count_roots(store, &config, 10));
	CHECK_INT("two roots", 2, (long long)count_roots(store, &shared, 10));
	CHECK_INT("at most", 1, (long long)count_roots(store, &shared, 1));
	CHECK_INT("no image", 0, (long long)count_roots(store, &unnamed, 10));
	CHECK_INT("not there", 0, (long long)count_roots(store, &nothing, 10));
	CHECK_INT("which", OL_OK, ol_reach_roots(store, &config, 10, &roots, &count, NULL));
	CHECK_INT("which", true, count == 1 && ol_digest_eq(&roots[0], &index));
}

static void a_prefix_finds_blobs_but_no_layers(void **state)
{
	store_box *box = *state;
	const ol_digest blob = box_blob(box->store, "blob"), tar = box_blob(box->store, "a layer");
	const ol_digest_text hex = ol_digest_hex(&blob), layer = ol_digest_hex(&tar);
	const struct {
		const char *label;
		int size; /* digits of hex */
		const char *text;
		size_t count;
		int rc;
	} cases[] = {
		{ "all of it", 64, hex.text, 1, OL_OK },
		{ "twelve", 12, hex.text, 1, OL_OK },
		{ "one more than there is", 65,
			"00000000000000000000000000000000000000000000000000"
			"000000000000000",
			0, OL_OK },
		{ "a layer", 64, layer.text, 0, OL_OK },
		{ "not hex", 3, "xyz", 0, OL_EINVAL },
		{ "upper case", 2, "AB", 0, OL_EINVAL },
		{ "a pattern", 1, "%", 0, OL_EINVAL },
	};

	CHECK_INT("layer", OL_OK, box_layer(box, box->store, "a layer", "index", NULL));
	OL_EACH (cases, c) {
		ol_autofree char *text = ol_strndup(c->text, (size_t)c->size);
		ol_autofree ol_digest *found = NULL;
		size_t count = 0;

		CHECK_INT(c->label, c->rc,
			ol_reach_prefix(box->store, text, 10, &found, &count, NULL));
		CHECK_INT(c->label, (long long)c->count, (long long)count);
		CHECK_INT(c->label, true, count == 0 || ol_digest_eq(&found[0], &blob));
	}
}

static void a_prefix_gives_no_more_than_asked_for(void **state)
{
	store_box *box = *state;
	ol_autofree ol_digest *found = NULL;
	size_t count = 0;

	for (int i = 0; i < 20; i++) {
		char text[16];

		(void)snprintf(text, sizeof text, "%d", i);
		(void)box_blob(box->store, text);
	}
	CHECK_INT("all", OL_OK, ol_reach_prefix(box->store, "", 7, &found, &count, NULL));
	CHECK_INT("all", 7, (long long)count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(roots_are_found_upwards),
		BOX_TEST(a_prefix_finds_blobs_but_no_layers),
		BOX_TEST(a_prefix_gives_no_more_than_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
