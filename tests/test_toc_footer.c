#include "base/alloc.h"
#include "base/limits.h"
#include "base/str.h"
#include "manifest/toc_footer.h"
#include "tests/check.h"

#define D    "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define END  "\x01\0\0\xff\xff\0\0\0\0\0\0\0\0"
#define HEAD "\x1f\x8b\x08\x04\0\0\0\0\0\xff"
#define SG   HEAD "\x1a\0SG\x16\0"
/* A skippable frame's head, and the little-endian numbers 100, 10, 20, 1. */
#define FRAME_64 "\x50\x2a\x4d\x18\x40\0\0\0"
#define FRAME_40 "\x50\x2a\x4d\x18\x28\0\0\0"
#define N100     "\x64\0\0\0\0\0\0\0"
#define N10      "\x0a\0\0\0\0\0\0\0"
#define N20      "\x14\0\0\0\0\0\0\0"
#define N1       "\1\0\0\0\0\0\0\0"

/* Literals hold NULs: their size goes with them. */
#define BYTES(text)                                                                                \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static void footers_say_where_the_table_is(void **state)
{
	static const struct {
		const char *row;
		ol_view tail;
		uint64_t blob;
		int rc;
		ol_toc_format format;
		int64_t offset, size;
	} cases[] = {
		{ "51 bytes", BYTES(SG "0000000000000064STARGZ" END), 1051, OL_OK, OL_TOC_ESTARGZ,
			100, 900 },
		{ "behind other bytes", BYTES("xxxx" SG "0000000000000064STARGZ" END), 1051, OL_OK,
			OL_TOC_ESTARGZ, 100, 900 },
		{ "47 bytes",
			BYTES(HEAD "\x16\0"
				   "0000000000000064STARGZ" END),
			1047, OL_OK, OL_TOC_ESTARGZ, 100, 900 },
		{ "external",
			BYTES(HEAD "\x15\0SG\x11\0"
				   "STARGZEXTERNALTOC" END),
			1000, OL_OK, OL_TOC_ESTARGZ_EXTERNAL, 0, 0 },
		{ "containers", BYTES(FRAME_64 N100 N10 N20 N1 N100 N10 N20 "GNUlInUx"), 1000,
			OL_OK, OL_TOC_ZSTD_CHUNKED, 100, 10 },
		{ "stargz's zstd:chunked", BYTES(FRAME_40 N100 N10 N20 N1 "GnUlInUx"), 1000, OL_OK,
			OL_TOC_ZSTD_CHUNKED, 100, 10 },
		{ "nothing", BYTES(""), 1000, OL_ENOTFOUND, 0, 0, 0 },
		{ "other bytes", BYTES(N100 N100 N100 N100 N100 N100 N100 N100 N100), 1000,
			OL_ENOTFOUND, 0, 0, 0 },
		{ "an offset that is no number", BYTES(SG "000000000000006gSTARGZ" END), 1051,
			OL_ECORRUPT, 0, 0, 0 },
		{ "an offset in the footer", BYTES(SG "00000000000003e8STARGZ" END), 1051,
			OL_ECORRUPT, 0, 0, 0 },
		{ "an offset past all", BYTES(SG "ffffffffffffffffSTARGZ" END), 1051, OL_ECORRUPT,
			0, 0, 0 },
		{ "too large a table", BYTES(SG "0000000000000000STARGZ" END), (uint64_t)1 << 30,
			OL_ELIMIT, 0, 0, 0 },
		{ "a place past the end",
			BYTES(FRAME_40 N100 "\xff\xff\xff\xff\xff\xff\xff\xff" N20 N1 "GnUlInUx"),
			1000, OL_ECORRUPT, 0, 0, 0 },
		{ "a table of nothing", BYTES(FRAME_40 N100 "\0\0\0\0\0\0\0\0" N20 N1 "GnUlInUx"),
			1000, OL_ECORRUPT, 0, 0, 0 },
		{ "another type", BYTES(FRAME_40 N100 N10 N20 N10 "GnUlInUx"), 1000,
			OL_EUNSUPPORTED, 0, 0, 0 },
		{ "more than it may inflate to",
			BYTES(FRAME_40 N100 N10 "\0\0\0\0\0\0\0\x70" N1 "GnUlInUx"), 1000,
			OL_ELIMIT, 0, 0, 0 },
		{ "a tar-split outside",
			BYTES(FRAME_64 N100 N10 N20 N1 N100 "\0\0\1\0\0\0\0\0" N20 "GNUlInUx"),
			1000, OL_ECORRUPT, 0, 0, 0 },
		{ "no frame around it",
			BYTES("\x50\x2a\x4d\x19\x28\0\0\0" N100 N10 N20 N1 "GnUlInUx"), 1000,
			OL_ENOTFOUND, 0, 0, 0 },
		{ "longer than the blob", BYTES("0123456789"), 5, OL_EINVAL, 0, 0, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_toc_place place = { 0 };

		CHECK_INT(c->row, c->rc, ol_toc_footer_parse(c->tail, c->blob, &place, NULL));
		CHECK_INT(c->row, c->format, place.format);
		CHECK_INT(c->row, c->offset, (int64_t)place.toc.offset);
		CHECK_INT(c->row, c->size, (int64_t)place.toc.size);
	}
}

#define GITHUB "io.github.containers.zstd-chunked."
#define STARGZ "io.containers.zstd-chunked."
#define TOC    "containerd.io/snapshot/stargz/toc.digest"

static void annotations_bind_a_table_to_its_layer(void **state)
{
	static const struct {
		const char *row;
		ol_compression compression;
		ol_annotation annotations[4];
		int rc;
		ol_toc_format format;
		bool raw;
		int64_t offset, tar_split;
	} cases[] = {
		{ "eStargz", OL_COMPRESSION_GZIP, { { TOC, D } }, OL_OK, OL_TOC_ESTARGZ, true, 0,
			0 },
		{ "stargz's zstd:chunked", OL_COMPRESSION_ZSTD, { { TOC, D } }, OL_OK,
			OL_TOC_ZSTD_CHUNKED, true, 0, 0 },
		{ "containers", OL_COMPRESSION_ZSTD,
			{ { GITHUB "manifest-checksum", D },
				{ GITHUB "manifest-position", "100:10:20:1" },
				{ GITHUB "tarsplit-position", "120:5:9" } },
			OL_OK, OL_TOC_ZSTD_CHUNKED, false, 100, 120 },
		{ "the other prefix", OL_COMPRESSION_ZSTD,
			{ { STARGZ "manifest-checksum", D },
				{ STARGZ "manifest-position", "100:10:20:1" } },
			OL_OK, OL_TOC_ZSTD_CHUNKED, false, 100, 0 },
		{ "nothing", OL_COMPRESSION_GZIP, { { "a", "b" } }, OL_ENOTFOUND, 0, false, 0, 0 },
		{ "a position alone", OL_COMPRESSION_ZSTD,
			{ { GITHUB "manifest-position", "100:10:20:1" } }, OL_ENOTFOUND, 0, false,
			0, 0 },
		{ "no digest", OL_COMPRESSION_GZIP, { { TOC, "sha256:zz" } }, OL_ECORRUPT, 0, false,
			0, 0 },
		{ "outside", OL_COMPRESSION_ZSTD,
			{ { GITHUB "manifest-checksum", D },
				{ GITHUB "manifest-position", "995:10:20:1" } },
			OL_ECORRUPT, 0, false, 0, 0 },
		{ "another type", OL_COMPRESSION_ZSTD,
			{ { GITHUB "manifest-checksum", D },
				{ GITHUB "manifest-position", "100:10:20:2" } },
			OL_ECORRUPT, 0, false, 0, 0 },
		{ "no numbers", OL_COMPRESSION_ZSTD,
			{ { GITHUB "manifest-checksum", D },
				{ GITHUB "manifest-position", "100:10:-20:1" } },
			OL_ECORRUPT, 0, false, 0, 0 },
		{ "too many", OL_COMPRESSION_ZSTD,
			{ { GITHUB "manifest-checksum", D },
				{ GITHUB "manifest-position", "1:1:1:1:1" } },
			OL_ECORRUPT, 0, false, 0, 0 },
		{ "a tar-split outside", OL_COMPRESSION_ZSTD,
			{ { GITHUB "manifest-checksum", D },
				{ GITHUB "manifest-position", "100:10:20:1" },
				{ GITHUB "tarsplit-position", "999:5:9" } },
			OL_ECORRUPT, 0, false, 0, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_descriptor layer = { .media_type = "",
			.media = { .kind = OL_MEDIA_LAYER, .compression = c->compression },
			.size = 1000,
			.annotations = c->annotations };
		ol_toc_binding binding = { 0 };

		while (layer.annotation_count < 4 && c->annotations[layer.annotation_count].key)
			layer.annotation_count++;
		CHECK_INT(c->row, c->rc, ol_toc_binding_of(&layer, &binding, NULL));
		CHECK_INT(c->row, c->format, binding.format);
		CHECK_INT(c->row, c->raw, binding.toc_is_raw);
		CHECK_INT(c->row, c->offset, (int64_t)binding.place.toc.offset);
		CHECK_INT(c->row, c->tar_split, (int64_t)binding.place.tar_split.offset);
		CHECK_INT(c->row, c->rc == OL_OK, ol_digest_is_set(&binding.toc));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(footers_say_where_the_table_is),
		cmocka_unit_test(annotations_bind_a_table_to_its_layer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
