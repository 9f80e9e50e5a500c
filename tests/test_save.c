/* What goes into an archive, of a store that is filled by hand. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/save.h"
#include "image/session_priv.h"
#include "store/blob.h"
#include "store/name.h"
#include "tests/check.h"

#define LAYER_TYPE OL_MEDIA_OCI_LAYER "+gzip"

typedef struct box {
	char dir[64];
	int fd;
	ol_session *session;
	/* two platforms, and the attestation of one */
	ol_digest layers[2], configs[2], manifests[2], statement, attestation_config, attestation;
	ol_digest index;
} box;

static ol_digest digest_of(const char *text)
{
	return ol_digest_of(OL_SHA256, text, strlen(text));
}

static void put(const box *b, const char *text)
{
	ol_digest digest = digest_of(text);

	CHECK_INT(text, OL_OK,
		ol_blob_put(b->session->store, &digest, ol_view_of(text), false, NULL));
}

static char *descriptor(const char *type, const ol_digest *digest, size_t size, const char *more)
{
	return ol_text("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}", type,
		ol_digest_format(digest).text, size, more);
}

/* A manifest of one layer; both and the config are put into the store. */
static ol_digest put_manifest(const box *b, const char *config, const char *layer, const char *type)
{
	ol_digest config_digest = digest_of(config), layer_digest = digest_of(layer);
	ol_autofree char *c = descriptor(OL_MEDIA_OCI_CONFIG, &config_digest, strlen(config), "");
	ol_autofree char *l = descriptor(type, &layer_digest, strlen(layer), "");
	ol_autofree char *text = ol_text("{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,"
					 "\"layers\":[%s]}",
		OL_MEDIA_OCI_MANIFEST, c, l);

	put(b, config);
	put(b, layer);
	put(b, text);
	return digest_of(text);
}

static ol_digest put_platform(box *b, unsigned i, const char *architecture)
{
	ol_autofree char *layer = ol_text("compressed layer for %s", architecture);
	ol_digest diff_id = digest_of(architecture);
	ol_autofree char *config = ol_text("{\"os\":\"linux\",\"architecture\":\"%s\",\"rootfs\":{"
					   "\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
		architecture, ol_digest_format(&diff_id).text);

	b->layers[i] = digest_of(layer);
	b->configs[i] = digest_of(config);
	return put_manifest(b, config, layer, LAYER_TYPE);
}

static uint64_t size_of(const box *b, const ol_digest *digest)
{
	ol_blob_info info = { 0 };

	CHECK_INT("stat", OL_OK, ol_blob_stat(b->session->store, digest, &info, NULL));
	return info.size;
}

static void put_index(box *b)
{
	ol_autofree char *one =
		descriptor(OL_MEDIA_OCI_MANIFEST, &b->manifests[0], size_of(b, &b->manifests[0]),
			",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}");
	ol_autofree char *two =
		descriptor(OL_MEDIA_OCI_MANIFEST, &b->manifests[1], size_of(b, &b->manifests[1]),
			",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}");
	ol_autofree char *three = descriptor(OL_MEDIA_OCI_MANIFEST, &b->attestation,
		size_of(b, &b->attestation),
		",\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"},\"annotations\":{"
		"\"vnd.docker.reference.type\":\"attestation-manifest\"}");
	ol_autofree char *text = ol_text("{\"schemaVersion\":2,\"mediaType\":\"%s\","
					 "\"manifests\":[%s,%s,%s]}",
		OL_MEDIA_OCI_INDEX, one, two, three);

	put(b, text);
	b->index = digest_of(text);
}

static void name(const box *b, const char *text, const ol_digest *root, const char *type)
{
	CHECK_INT(text, OL_OK,
		ol_name_set(b->session->store,
			&(ol_name_info){
				.name = text, .repo = "", .root = *root, .media_type = type },
			NULL));
}

static void open_session(box *b)
{
	ol_autofree char *root = ol_text("%s/root", b->dir), *run = ol_text("%s/run", b->dir);
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK,
		ol_session_open(
			&(ol_session_options){ .root = root, .run_root = run }, &b->session, &err));
}

static int box_setup(void **state)
{
	static const char statement[] = "{\"_type\":\"https://in-toto.io/Statement/v0.1\"}";
	static const char unknown[] = "{\"os\":\"unknown\",\"architecture\":\"unknown\","
				      "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
	box *b = ol_alloc(sizeof *b);
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(b->dir, sizeof b->dir, "%.40s/orlop-save-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(b->dir));
	b->fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	open_session(b);
	b->manifests[0] = put_platform(b, 0, "amd64");
	b->manifests[1] = put_platform(b, 1, "arm64");
	b->statement = digest_of(statement);
	b->attestation_config = digest_of(unknown);
	b->attestation = put_manifest(b, unknown, statement, "application/vnd.in-toto+json");
	put_index(b);
	name(b, "docker.io/library/app:1", &b->index, OL_MEDIA_OCI_INDEX);
	*state = b;
	return 0;
}

static int box_teardown(void **state)
{
	box *b = *state;

	ol_session_close(b->session);
	(void)close(b->fd);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, b->dir, NULL));
	free(b);
	return 0;
}

static int save(const box *b, ol_save_options options, ol_error *err)
{
	static const char *const images[] = { "app:1" };
	ol_autofree char *output = ol_text("%s/out", b->dir);

	if (!options.images) {
		options.images = images;
		options.image_count = 1;
	}
	options.output = output;
	return ol_save(b->session, &options, err);
}

static bool in_layout(const box *b, const ol_digest *digest)
{
	ol_autofree char *path = ol_text("out/blobs/sha256/%s", ol_digest_hex(digest).text);

	return faccessat(b->fd, path, F_OK, 0) == 0;
}

static void check_listed(const box *b, const ol_digest *digest)
{
	ol_auto_buf ol_buf index = OL_BUF(4096);

	CHECK_INT("index.json", OL_OK, ol_file_read(b->fd, "out/index.json", true, &index, NULL));
	assert_non_null(strstr(ol_str_text(&index), ol_digest_format(digest).text));
}

static void an_index_goes_out_with_all_it_lists(void **state)
{
	box *b = *state;
	ol_error err = { 0 };

	CHECK_INT(
		err.text, OL_OK, save(b, (ol_save_options){ .format = OL_ARCHIVE_OCI_DIR }, &err));
	check_listed(b, &b->index);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(in_layout(b, &b->manifests[i]));
		assert_true(in_layout(b, &b->configs[i]));
		assert_true(in_layout(b, &b->layers[i]));
	}
	assert_true(in_layout(b, &b->index));
	assert_true(in_layout(b, &b->attestation));
	assert_true(in_layout(b, &b->attestation_config));
	assert_true(in_layout(b, &b->statement));
}

/* One bit of a blob's file flips. */
static void damage(const box *b, const ol_digest *digest)
{
	ol_autofree char *path = ol_text("root/blobs/sha256/%s", ol_digest_hex(digest).text);
	ol_autofd int fd = -1;
	char byte = 0;

	assert_int_equal(fchmodat(b->fd, path, 0600, 0), 0);
	fd = openat(b->fd, path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, 3), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 3), 1);
}

/* The index says what there is elsewhere: its digest must not change because this store has less.
 */
static void one_chosen_platform_goes_out_alone(void **state)
{
	box *b = *state;
	ol_platform arm = { .os = "linux", .architecture = "arm64" };
	ol_error err = { 0 };

	CHECK_INT(err.text, OL_OK,
		save(b,
			(ol_save_options){ .format = OL_ARCHIVE_OCI_DIR,
				.platforms = &arm,
				.platform_count = 1 },
			&err));
	check_listed(b, &b->manifests[1]);
	assert_true(in_layout(b, &b->layers[1]));
	assert_false(in_layout(b, &b->layers[0]));
	assert_false(in_layout(b, &b->index));
}

static void what_the_receiver_has_is_left_out(void **state)
{
	box *b = *state;
	static const char *const since[] = { "app:base", NULL };

	name(b, "docker.io/library/app:base", &b->manifests[0], OL_MEDIA_OCI_MANIFEST);
	CHECK_INT("save", OL_OK,
		save(b, (ol_save_options){ .format = OL_ARCHIVE_OCI_DIR, .since = since }, NULL));
	assert_false(in_layout(b, &b->layers[0]));
	assert_true(in_layout(b, &b->layers[1]));
	assert_true(in_layout(b, &b->manifests[0]));
	assert_true(in_layout(b, &b->configs[0]));
}

static void a_damaged_layer_is_named(void **state)
{
	box *b = *state;
	ol_error err = { 0 };

	damage(b, &b->layers[1]);
	CHECK_INT("save", OL_ECORRUPT,
		save(b, (ol_save_options){ .format = OL_ARCHIVE_OCI_DIR }, &err));
	assert_non_null(strstr(err.text, "layer 1 of 1 of app:1"));
	assert_non_null(strstr(err.text, ol_digest_format(&b->layers[1]).text));
	assert_true(faccessat(b->fd, "out", F_OK, 0) < 0);
}

/* There is no tar, nor a layer that one could be made from. */
static void a_platform_without_layers_is_no_platform(void **state)
{
	box *b = *state;
	ol_error err = { 0 };

	CHECK_INT("save", OL_ENOTFOUND, save(b, (ol_save_options){ 0 }, &err));
	assert_non_null(strstr(err.text, "no platform of this image is in the store whole"));
	assert_true(faccessat(b->fd, "out", F_OK, 0) < 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, box_setup, box_teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_index_goes_out_with_all_it_lists),
		TEST(one_chosen_platform_goes_out_alone),
		TEST(what_the_receiver_has_is_left_out),
		TEST(a_damaged_layer_is_named),
		TEST(a_platform_without_layers_is_no_platform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
