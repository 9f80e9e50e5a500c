#include "manifest/mediatype.h"
#include "tests/check.h"

static void every_type_is_told_apart(void **state)
{
	static const struct {
		const char *type;
		ol_media media;
	} cases[] = {
		{ OL_MEDIA_OCI_INDEX, { .kind = OL_MEDIA_INDEX } },
		{ OL_MEDIA_OCI_MANIFEST, { .kind = OL_MEDIA_MANIFEST } },
		{ OL_MEDIA_OCI_MANIFEST "; charset=utf-8", { .kind = OL_MEDIA_MANIFEST } },
		{ OL_MEDIA_OCI_MANIFEST " \t;x", { .kind = OL_MEDIA_MANIFEST } },
		{ "Application/VND.oci.image.Manifest.v1+json", { .kind = OL_MEDIA_MANIFEST } },
		{ OL_MEDIA_OCI_CONFIG, { .kind = OL_MEDIA_CONFIG } },
		{ OL_MEDIA_OCI_EMPTY, { .kind = OL_MEDIA_EMPTY } },
		{ OL_MEDIA_DOCKER_LIST, { .kind = OL_MEDIA_INDEX, .docker = true } },
		{ OL_MEDIA_DOCKER_MANIFEST, { .kind = OL_MEDIA_MANIFEST, .docker = true } },
		{ OL_MEDIA_DOCKER_CONFIG, { .kind = OL_MEDIA_CONFIG, .docker = true } },
		{ "application/vnd.docker.distribution.manifest.v1+json",
			{ .kind = OL_MEDIA_SCHEMA1, .docker = true } },
		{ "application/vnd.docker.distribution.manifest.v1+prettyjws",
			{ .kind = OL_MEDIA_SCHEMA1, .docker = true } },
		{ OL_MEDIA_OCI_LAYER,
			{ .kind = OL_MEDIA_LAYER, .compression = OL_COMPRESSION_NONE } },
		{ OL_MEDIA_OCI_LAYER "+gzip",
			{ .kind = OL_MEDIA_LAYER, .compression = OL_COMPRESSION_GZIP } },
		{ OL_MEDIA_OCI_LAYER "+zstd",
			{ .kind = OL_MEDIA_LAYER, .compression = OL_COMPRESSION_ZSTD } },
		{ OL_MEDIA_OCI_LAYER "+encrypted", { .kind = OL_MEDIA_LAYER,
							   .compression = OL_COMPRESSION_NONE,
							   .encrypted = true } },
		{ OL_MEDIA_OCI_LAYER "+gzip+encrypted", { .kind = OL_MEDIA_LAYER,
								.compression = OL_COMPRESSION_GZIP,
								.encrypted = true } },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar",
			{ .kind = OL_MEDIA_LAYER,
				.compression = OL_COMPRESSION_NONE,
				.nondistributable = true } },
		{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
			{ .kind = OL_MEDIA_LAYER,
				.compression = OL_COMPRESSION_ZSTD,
				.nondistributable = true } },
		{ "application/vnd.docker.image.rootfs.diff.tar",
			{ .kind = OL_MEDIA_LAYER, .docker = true } },
		{ "application/vnd.docker.image.rootfs.diff.tar.gzip",
			{ .kind = OL_MEDIA_LAYER,
				.compression = OL_COMPRESSION_GZIP,
				.docker = true } },
		{ "application/vnd.docker.image.rootfs.diff.tar.zstd",
			{ .kind = OL_MEDIA_LAYER,
				.compression = OL_COMPRESSION_ZSTD,
				.docker = true } },
		{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
			{ .kind = OL_MEDIA_LAYER,
				.compression = OL_COMPRESSION_GZIP,
				.docker = true,
				.nondistributable = true } },
		/* Not known: never an error, never taken for something else. */
		{ "", { 0 } },
		{ ";", { 0 } },
		{ "application/json", { 0 } },
		{ "application/vnd.in-toto+json", { 0 } },
		{ "application/vnd.erofs.layer.v1", { 0 } },
		{ OL_MEDIA_OCI_MANIFEST "x", { 0 } },
		{ OL_MEDIA_OCI_LAYER ".gzip", { 0 } },
		{ OL_MEDIA_OCI_LAYER "+encrypted+gzip", { 0 } },
		{ OL_MEDIA_OCI_LAYER "+gzip+zstd", { 0 } },
		{ OL_MEDIA_OCI_LAYER "+bzip2", { 0 } },
		{ "application/vnd.docker.image.rootfs.diff.tar+gzip", { 0 } },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_media media = ol_media_of(ol_view_of(c->type));

		CHECK_INT(c->type, c->media.kind, media.kind);
		CHECK_INT(c->type, c->media.compression, media.compression);
		CHECK_INT(c->type, c->media.docker, media.docker);
		CHECK_INT(c->type, c->media.nondistributable, media.nondistributable);
		CHECK_INT(c->type, c->media.encrypted, media.encrypted);
	}
}

static void a_type_of_any_length_is_looked_at(void **state)
{
	char text[4096];

	(void)state;
	memset(text, 'a', sizeof text);
	CHECK_INT("long", OL_MEDIA_UNKNOWN, ol_media_of(ol_view_from(text, sizeof text)).kind);
	CHECK_INT("long", 0,
		ol_media_same(ol_view_from(text, sizeof text), ol_view_from(text, sizeof text)));
	CHECK_INT("none", OL_MEDIA_UNKNOWN, ol_media_of((ol_view){ 0 }).kind);
}

static void the_same_type_in_other_words_is_the_same(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "a/b", "a/b", true },
		{ "a/b", "A/B; q=1", true },
		{ "a/b", "a/c", false },
		{ "a/b", "a/bc", false },
		{ "a/b", "", false },
		{ "", "", false },
	};

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(c->b, c->same, ol_media_same(ol_view_of(c->a), ol_view_of(c->b)));
}

/* Every type that is asked for is one that is understood. */
static void what_is_asked_for_is_understood(void **state)
{
	const char *at = ol_media_accept_manifests();
	size_t count = 0;

	(void)state;
	for (size_t size; *at; at += size + (at[size] ? 2 : 0), count++) {
		ol_media_class kind;

		size = strcspn(at, ",");
		kind = ol_media_of(ol_view_from(at, size)).kind;
		if (at[size] == '\0')
			CHECK_STR("last", "*/*", at);
		else
			CHECK_INT(at, 1, kind == OL_MEDIA_INDEX || kind == OL_MEDIA_MANIFEST);
	}
	CHECK_INT("count", 5, (long long)count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_told_apart),
		cmocka_unit_test(a_type_of_any_length_is_looked_at),
		cmocka_unit_test(the_same_type_in_other_words_is_the_same),
		cmocka_unit_test(what_is_asked_for_is_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
