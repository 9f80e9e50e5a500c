/* gc.c, ol_gc_image: what one removed image leaves. test_gc.c has the rest. */
#include "base/alloc.h"
#include "store/gc.h"
#include "store/lease.h"
#include "store/use.h"
#include "tests/store_box.h"

#define ID_1 "1111111111111111111111111111111111111111111111111111111111111111"
#define ID_2 "2222222222222222222222222222222222222222222222222222222222222222"

/* NAME manifest → NAME config, NAME own, shared. */
static ol_digest make_image(store_box *box, const char *name, bool named)
{
	char text[64], ref[64];
	ol_digest manifest, children[3];

	(void)snprintf(text, sizeof text, "%s manifest", name);
	manifest = box_blob(box->store, text);
	(void)snprintf(text, sizeof text, "%s config", name);
	children[0] = box_blob(box->store, text);
	(void)snprintf(text, sizeof text, "%s own", name);
	children[1] = box_blob(box->store, text);
	CHECK_INT("layer", OL_OK, box_layer(box, box->store, text, "index", NULL));
	children[2] = box_blob(box->store, "shared");
	CHECK_INT("layer", OL_OK, box_layer(box, box->store, "shared", "index", NULL));
	CHECK_INT("edges", OL_OK, ol_blob_set_edges(box->store, &manifest, children, 3, NULL));
	(void)snprintf(ref, sizeof ref, "reg.example/%s:1", name);
	if (named)
		CHECK_INT(ref, OL_OK,
			ol_name_set(box->store,
				&(ol_name_info){
					.name = ref, .root = manifest, .media_type = "a/b" },
				NULL));
	return manifest;
}

static bool has(store_box *box, const char *text)
{
	const ol_digest digest = box_digest(text);

	return ol_blob_exists(box->store, &digest);
}

static ol_gc_result gc_image(store_box *box, const ol_digest *root)
{
	ol_gc_result result = { 0 };
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK, ol_gc_image(box->store, root, NULL, &result, &err));
	return result;
}

static void what_only_the_image_needed_goes(void **state)
{
	store_box *box = *state;
	const ol_digest a = make_image(box, "a", false), b = make_image(box, "b", true);
	const ol_digest shared = box_digest("shared"), own = box_digest("a own");
	ol_gc_result result = gc_image(box, &a);

	CHECK_INT("blobs", 3, (long long)result.blobs);
	CHECK_INT("layers", 1, (long long)result.layers);
	assert_true(result.bytes > 0);
	assert_false(has(box, "a manifest") || has(box, "a config") || has(box, "a own"));
	assert_false(ol_layer_exists(box->store, &own, false));
	assert_true(has(box, "b manifest") && has(box, "b config") && has(box, "shared"));
	assert_true(ol_layer_exists(box->store, &shared, false));
	result = gc_image(box, &b);
	CHECK_INT("it has a name", 0, (long long)(result.blobs + result.layers));
	CHECK_INT("the last one", OL_OK, ol_name_remove_root(box->store, &b, NULL));
	result = gc_image(box, &b);
	CHECK_INT("blobs", 4, (long long)result.blobs);
	assert_false(has(box, "shared") || ol_layer_exists(box->store, &shared, false));
}

/* Held by a lease, a container's config, a mount's root, a used layer: it stays, and what it
 * reaches. */
static void what_is_held_stays_with_all_below(void **state)
{
	store_box *box = *state;
	const ol_digest leased = make_image(box, "leased", false),
			used = make_image(box, "used", false), own = box_digest("used own"),
			run = make_image(box, "run", false), config = box_digest("run config"),
			mounted = make_image(box, "mounted", false);
	const ol_digest config_child = box_blob(box->store, "below the config");
	ol_lease *lease = NULL;

	CHECK_INT("lease", OL_OK, ol_lease_begin(box->store, "test", &lease, NULL));
	CHECK_INT("lease", OL_OK, ol_lease_add(lease, &leased, NULL));
	CHECK_INT("edges", OL_OK, ol_blob_set_edges(box->store, &config, &config_child, 1, NULL));
	CHECK_INT("use", OL_OK, ol_use_add(box->store, "someone", &own, 1, NULL));
	CHECK_INT("container", OL_OK,
		ol_container_add(box->store,
			&(ol_container_info){ .id = (char *)ID_1,
				.name = (char *)"n",
				.image = (char *)"x",
				.root = box_digest("elsewhere"),
				.config = config,
				.command = (char *)"" },
			NULL));
	CHECK_INT("mount", OL_OK,
		ol_mount_add(box->store,
			&(ol_mount_info){ .id = (char *)ID_2,
				.target = (char *)"/t",
				.image = (char *)"x",
				.root = mounted,
				.config = config },
			NULL));
	CHECK_INT("leased", 0, (long long)gc_image(box, &leased).blobs);
	CHECK_INT("mounted", 0, (long long)gc_image(box, &mounted).blobs);
	CHECK_INT("used: manifest and config go", 2, (long long)gc_image(box, &used).blobs);
	assert_true(has(box, "used own"));
	CHECK_INT("run: manifest and own go", 2, (long long)gc_image(box, &run).blobs);
	assert_true(has(box, "run config") && has(box, "below the config") && has(box, "shared"));
	ol_lease_end(lease);
	CHECK_INT("no longer leased", 3, (long long)gc_image(box, &leased).blobs);
}

/* Garbage that nobody looked for holds what it reaches, until a full gc. */
static void other_garbage_is_left_to_the_full_gc(void **state)
{
	store_box *box = *state;
	const ol_digest a = make_image(box, "a", false);
	ol_gc_result result = { 0 };

	(void)make_image(box, "left over", false);
	CHECK_INT("a", 3, (long long)gc_image(box, &a).blobs);
	assert_true(has(box, "left over manifest") && has(box, "shared"));
	CHECK_INT("preview", OL_OK, ol_gc_preview(box->store, &result, NULL));
	CHECK_INT("preview", 4, (long long)result.blobs);
	CHECK_INT("preview", 2, (long long)result.layers);
	assert_true(has(box, "left over manifest"));
	CHECK_INT("gc", OL_OK, ol_gc(box->store, NULL, &result, NULL));
	CHECK_INT("gc", 4, (long long)result.blobs);
	CHECK_INT("gc", 2, (long long)result.layers);
}

static void edges_in_a_circle_end(void **state)
{
	store_box *box = *state;
	const ol_digest a = box_blob(box->store, "a"), b = box_blob(box->store, "b");

	CHECK_INT("edges", OL_OK, ol_blob_set_edges(box->store, &a, &b, 1, NULL));
	CHECK_INT("edges", OL_OK, ol_blob_set_edges(box->store, &b, &a, 1, NULL));
	CHECK_INT("both", 2, (long long)gc_image(box, &a).blobs);
}

/* b's edge to what a shares with it is damaged: it cannot be told who needs that. */
static void while_a_row_is_damaged_nothing_goes(void **state)
{
	store_box *box = *state;
	const ol_digest a = make_image(box, "a", false);
	const ol_digest b = make_image(box, "b", true), shared = box_digest("shared");
	ol_autofree char *harm =
		ol_text("UPDATE edges SET child = 'sha256:0' WHERE parent = '%s' AND "
			"child = '%s'",
			ol_digest_format(&b).text, ol_digest_format(&shared).text);
	ol_autofree char *mend = ol_text("UPDATE edges SET child = '%s' WHERE child = 'sha256:0'",
		ol_digest_format(&shared).text);
	ol_gc_result result = { 0 };

	box_harm(box, harm);
	CHECK_INT("damaged", OL_ECORRUPT, ol_gc_image(box->store, &a, NULL, &result, NULL));
	assert_true(has(box, "shared") && has(box, "a own"));
	box_harm(box, mend);
	CHECK_INT("mended", 3, (long long)gc_image(box, &a).blobs);
	assert_true(has(box, "shared"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(what_only_the_image_needed_goes),
		BOX_TEST(what_is_held_stays_with_all_below),
		BOX_TEST(other_garbage_is_left_to_the_full_gc),
		BOX_TEST(edges_in_a_circle_end),
		BOX_TEST(while_a_row_is_damaged_nothing_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
