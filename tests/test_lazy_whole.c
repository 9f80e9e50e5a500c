/* What is left to do for images once a layer of theirs is whole (image/lazy_whole.c). */
#include "base/alloc.h"
#include "image/lazy_worker_priv.h"
#include "manifest/mediatype.h"
#include "store/lazy.h"
#include "tests/store_box.h"

#define LAYER_TYPE OL_MEDIA_OCI_LAYER "+gzip"

/* A layer is its name: its tar, its index and its blob hold it. */
static void put_layer(store_box *box, const char *name, const char *driver)
{
	CHECK_INT(name, OL_OK, box_layer_of(driver, box, box->store, name, name, NULL));
	if (strcmp(driver, OL_LAZY_DRIVER) != 0)
		(void)box_blob(box->store, name);
}

/* Puts a JSON document, of which the edges are kept. */
static ol_digest put_document(
	store_box *box, const char *json, const ol_digest *needs, size_t count)
{
	const ol_digest digest = box_blob(box->store, json);

	CHECK_INT(json, OL_OK, ol_blob_set_edges(box->store, &digest, needs, count, NULL));
	return digest;
}

/* The manifest of an image over two layers, with its config; documents of other images differ. */
static ol_digest put_manifest(
	store_box *box, const char *image, const char *below, const char *above)
{
	const char *names[] = { below, above };
	ol_digest needs[3];
	ol_auto_str ol_str config = OL_STR(4096), json = OL_STR(4096);
	const ol_digest of[] = { box_digest(below), box_digest(above) };

	(void)ol_str_addf(&config,
		"{\"author\":\"%s\",\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{"
		"\"type\":"
		"\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
		image, ol_digest_format(&of[0]).text, ol_digest_format(&of[1]).text);
	needs[0] = box_blob(box->store, ol_str_text(&config));
	(void)ol_str_addf(&json,
		"{\"schemaVersion\":2,\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
		"\",\"config\":{\"mediaType\":\"" OL_MEDIA_OCI_CONFIG
		"\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[",
		ol_digest_format(&needs[0]).text, config.size);
	for (size_t i = 0; i < 2; i++) {
		ol_autofree char *blob = ol_text("%s compressed", names[i]);
		const ol_digest digest = box_digest(blob);

		needs[i + 1] = of[i];
		(void)ol_str_addf(&json,
			"%s{\"mediaType\":\"" LAYER_TYPE "\",\"digest\":\"%s\",\"size\":%zu}",
			i ? "," : "", ol_digest_format(&digest).text, strlen(blob));
	}
	(void)ol_str_add(&json, "]}");
	return put_document(box, ol_str_text(&json), needs, 3);
}

static void name_root(store_box *box, const char *name, const ol_digest *root, const char *type)
{
	const ol_name_info info = { .name = name, .repo = "", .root = *root, .media_type = type };

	CHECK_INT(name, OL_OK, ol_name_set(box->store, &info, NULL));
}

static ol_digest put_image(store_box *box, const char *name, const char *below, const char *above)
{
	const ol_digest root = put_manifest(box, name, below, above);

	name_root(box, name, &root, OL_MEDIA_OCI_MANIFEST);
	return root;
}

/* index.json lists what was made of what the store has, in place of what was pulled. */
static bool is_relisted(store_box *box, const char *name)
{
	ol_name_info info = { 0 };
	bool is;

	CHECK_INT(name, OL_OK, ol_name_get(box->store, name, &info, NULL));
	is = ol_digest_is_set(&info.listed) && !ol_digest_eq(&info.listed, &info.root);
	if (is) {
		ol_blob_info blob = { 0 };

		CHECK_INT(name, OL_OK, ol_blob_stat(box->store, &info.listed, &blob, NULL));
		CHECK_INT(name, (long long)blob.size, (long long)info.listed_size);
	}
	ol_name_info_done(&info);
	return is;
}

static int whole(store_box *box, const char *layer)
{
	ol_session session = { .store = box->store };
	const ol_digest diff_id = box_digest(layer);
	ol_error err = { 0 };
	const int rc = ol_lazy_whole_images(&session, &diff_id, &err);

	CHECK_INT(layer, true, rc == OL_OK || *err.text);
	return rc;
}

static void an_image_is_listed_anew_when_its_last_layer_is_whole(void **state)
{
	store_box *box = *state;

	put_layer(box, "below", OL_LAZY_DRIVER);
	put_layer(box, "above", OL_LAZY_DRIVER);
	(void)put_image(box, "app:1", "below", "above");
	CHECK_INT("none is whole", OL_OK, whole(box, "below"));
	assert_false(is_relisted(box, "app:1"));
	put_layer(box, "below", "erofs");
	CHECK_INT("one is", OL_OK, whole(box, "below"));
	assert_false(is_relisted(box, "app:1"));
	put_layer(box, "above", "erofs");
	CHECK_INT("both are", OL_OK, whole(box, "above"));
	assert_true(is_relisted(box, "app:1"));
	CHECK_INT("again", OL_OK, whole(box, "above"));
	assert_true(is_relisted(box, "app:1"));
}

static void every_image_that_has_the_layer_is_listed_anew(void **state)
{
	store_box *box = *state;

	put_layer(box, "below", "erofs");
	put_layer(box, "one", "erofs");
	put_layer(box, "two", OL_LAZY_DRIVER);
	(void)put_image(box, "app:1", "below", "one");
	(void)put_image(box, "app:2", "below", "two");
	(void)put_image(box, "other:1", "one", "one");
	CHECK_INT("shared", OL_OK, whole(box, "below"));
	assert_true(is_relisted(box, "app:1"));
	assert_false(is_relisted(box, "app:2"));   /* it has another layer that is not whole */
	assert_false(is_relisted(box, "other:1")); /* it has not this layer */
	CHECK_INT("nobody's", OL_OK, whole(box, "two of nobody"));
}

/* Which of them comes first is the database's affair: each of two is damaged in turn. */
static void an_image_that_is_damaged_does_not_keep_back_others(void **state)
{
	static const char *const names[] = { "app:1", "app:2" };
	store_box *box = *state;

	put_layer(box, "below", "erofs");
	put_layer(box, "above", "erofs");
	for (size_t i = 0; i < 2; i++) {
		ol_autofree char *other = ol_text("%s of another", names[i]);
		const ol_digest damaged = put_image(box, names[i], "below", "above");
		char path[256];

		(void)put_image(box, other, "below", "above");
		box_file(box, box_blob_path(&damaged, path), "{}");
		CHECK_INT(names[i], true, whole(box, "above") < 0);
		assert_false(is_relisted(box, names[i]));
		assert_true(is_relisted(box, other));
		CHECK_INT(names[i], OL_OK, ol_name_remove_root(box->store, &damaged, NULL));
	}
}

/* Of an index what was pulled counts: a platform that is not there keeps nothing back, nor does an
 * artifact. */
static void of_an_index_the_platforms_count_that_are_there(void **state)
{
	static const char artifact[] =
		"{\"schemaVersion\":2,\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
		"\",\"artifactType\":\"application/x\",\"config\":{\"mediaType\":\"application/x\","
		"\"digest\":\"sha256:"
		"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2},"
		"\"layers\":[]}";
	store_box *box = *state;
	ol_digest entries[3];
	ol_auto_str ol_str json = OL_STR(4096);
	ol_digest root;

	put_layer(box, "below", "erofs");
	put_layer(box, "above", OL_LAZY_DRIVER);
	entries[0] = put_manifest(box, "app:1", "below", "above");
	entries[1] = box_digest("of another platform");
	entries[2] = box_blob(box->store, artifact);
	(void)ol_str_add(&json,
		"{\"schemaVersion\":2,\"mediaType\":\"" OL_MEDIA_OCI_INDEX "\",\"manifests\":[");
	for (size_t i = 0; i < 3; i++)
		(void)ol_str_addf(&json,
			"%s{\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
			"\",\"digest\":\"%s\",\"size\":%zu}",
			i ? "," : "", ol_digest_format(&entries[i]).text,
			i == 2 ? strlen(artifact) : (size_t)500);
	(void)ol_str_add(&json, "]}");
	root = put_document(box, ol_str_text(&json), entries, 3);
	name_root(box, "app:1", &root, OL_MEDIA_OCI_INDEX);
	CHECK_INT("not whole", OL_OK, whole(box, "below"));
	assert_false(is_relisted(box, "app:1"));
	put_layer(box, "above", "erofs");
	CHECK_INT("whole", OL_OK, whole(box, "above"));
	assert_true(is_relisted(box, "app:1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(an_image_is_listed_anew_when_its_last_layer_is_whole),
		BOX_TEST(every_image_that_has_the_layer_is_listed_anew),
		BOX_TEST(an_image_that_is_damaged_does_not_keep_back_others),
		BOX_TEST(of_an_index_the_platforms_count_that_are_there),
	};

	return cmocka_run_group_tests_name("lazy_whole", tests, NULL, NULL);
}
