#include "base/alloc.h"
#include "base/limits.h"
#include "base/str.h"
#include "manifest/toc.h"
#include "tests/check.h"

#define D "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* What comes out, a line an entry: "reg a 5 0644 [0+5@10-0+0]". */
static int write_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	static const char *const types[] = { [OL_TAR_FILE] = "reg",
		[OL_TAR_HARDLINK] = "hardlink",
		[OL_TAR_SYMLINK] = "symlink",
		[OL_TAR_CHAR] = "char",
		[OL_TAR_BLOCK] = "block",
		[OL_TAR_DIR] = "dir",
		[OL_TAR_FIFO] = "fifo" };
	ol_str *out = ctx;

	(void)err;
	ol_str_addf(out, "%s %.*s", types[entry->type], (int)entry->name.size, entry->name.data);
	if (entry->target.size)
		ol_str_addf(out, "→%.*s", (int)entry->target.size, entry->target.data);
	if (entry->type == OL_TAR_FILE)
		ol_str_addf(out, " %llu", (unsigned long long)entry->size);
	if (entry->mode)
		ol_str_addf(out, " %04o", entry->mode);
	if (entry->uid || entry->gid)
		ol_str_addf(out, " %u:%u", entry->uid, entry->gid);
	if (entry->dev_major || entry->dev_minor)
		ol_str_addf(out, " dev %u,%u", entry->dev_major, entry->dev_minor);
	if (entry->mtime.tv_sec)
		ol_str_addf(
			out, " t%lld.%ld", (long long)entry->mtime.tv_sec, entry->mtime.tv_nsec);
	for (size_t i = 0; i < entry->xattr_count; i++)
		ol_str_addf(out, " %s=%.*s", entry->xattrs[i].name.data,
			(int)entry->xattrs[i].value.size, entry->xattrs[i].value.data);
	for (size_t i = 0; i < entry->chunk_count; i++) {
		const ol_toc_chunk *c = &entry->chunks[i];

		ol_str_addf(out, c->zeros ? " [%llu+%llu zeros]" : " [%llu+%llu@%llu-%llu+%llu]",
			(unsigned long long)c->offset, (unsigned long long)c->size,
			(unsigned long long)c->blob_offset, (unsigned long long)c->blob_end,
			(unsigned long long)c->inner_offset);
	}
	return ol_str_add(out, entry->mangled ? " mangled\n" : "\n");
}

static int parse(const char *entries, ol_str *out, ol_error *err)
{
	ol_autofree char *json = ol_text("{\"version\":1,\"entries\":[%s]}", entries);

	return ol_toc_json_parse(
		ol_view_of(json), 1000, &(ol_toc_handler){ write_entry, out }, err);
}

static void entries_come_out_with_their_chunks(void **state)
{
	static const struct {
		const char *entries, *out;
	} cases[] = {
		{ "", "" },
		{ "{\"name\":\"bin/"
		  "\",\"type\":\"dir\",\"mode\":16877,\"modtime\":\"2024-05-06T07:08:09Z\"}",
			"dir bin/ 0755 t1714979289.0\n" },
		{ "{\"name\":\"e\",\"type\":\"reg\",\"uid\":1,\"gid\":2}", "reg e 0 1:2\n" },
		{ "{\"name\":\"a\",\"type\":\"reg\",\"size\":5,\"offset\":10,\"chunkDigest\":\"" D
		  "\"}",
			"reg a 5 [0+5@10-0+0]\n" },
		{ "{\"name\":\"a\",\"type\":\"reg\",\"size\":5,\"offset\":10,\"innerOffset\":7,"
		  "\"digest\":\"" D "\"}",
			"reg a 5 [0+5@10-0+7]\n" },
		{ "{\"name\":\"a\",\"type\":\"reg\",\"size\":9,\"offset\":10,\"chunkSize\":4,"
		  "\"chunkDigest\":\"" D "\"},{\"name\":\"a\",\"type\":\"chunk\",\"offset\":20,"
		  "\"chunkOffset\":4,\"chunkSize\":3,"
		  "\"chunkDigest\":\"" D "\",\"endOffset\":40},"
		  "{\"name\":\"a\",\"type\":\"chunk\",\"offset\":40,\"chunkOffset\":7,"
		  "\"chunkDigest\":\"" D
		  "\"},{\"name\":\"l\",\"type\":\"hardlink\",\"linkName\":\"a\"}",
			"reg a 9 [0+4@10-0+0] [4+3@20-40+0] [7+2@40-0+0]\nhardlink l→a\n" },
		{ "{\"name\":\"z\",\"type\":\"reg\",\"size\":9,\"chunkSize\":9,\"chunkType\":"
		  "\"zeros\"}",
			"reg z 9 [0+9 zeros]\n" },
		{ "{\"name\":\"d\",\"type\":\"char\",\"devMajor\":1,\"devMinor\":3,\"extra\":{"
		  "\"a\":[1]}}",
			"char d dev 1,3\n" },
		{ "{\"name\":\"x\",\"type\":\"fifo\",\"xattrs\":{\"user.b\":\"YQ==\",\"user.a\":"
		  "null}}",
			"fifo x user.b=a user.a=\n" },
		{ "{\"name\":\"s\",\"type\":\"symlink\",\"linkName\":\"\xef\xbf\xbd\"}",
			"symlink s→\xef\xbf\xbd mangled\n" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->entries, OL_OK, parse(c->entries, &out, &err));
		CHECK_STR(c->entries, c->out, ol_str_text(&out));
	}
}

#define FILE_OF(size, rest) "{\"name\":\"a\",\"type\":\"reg\",\"size\":" size "," rest "}"
#define CHUNK(rest)         "{\"name\":\"a\",\"type\":\"chunk\",\"chunkDigest\":\"" D "\"," rest "}"

static void what_does_not_add_up_is_refused(void **state)
{
	static const struct {
		const char *entries;
		int rc;
		const char *words;
	} cases[] = {
		{ FILE_OF("5", "\"offset\":10"), OL_ECORRUPT, "without a digest" },
		{ FILE_OF("5", "\"offset\":1000,\"digest\":\"" D "\""), OL_ECORRUPT,
			"outside of the blob" },
		{ FILE_OF("5", "\"offset\":10,\"endOffset\":1001,\"digest\":\"" D "\""),
			OL_ECORRUPT, "outside of the blob" },
		{ FILE_OF("5", "\"offset\":10,\"endOffset\":10,\"digest\":\"" D "\""), OL_ECORRUPT,
			"outside of the blob" },
		{ FILE_OF("5", "\"offset\":-1,\"digest\":\"" D "\""), OL_ECORRUPT, "entry 1" },
		{ FILE_OF("5", "\"chunkSize\":4,\"offset\":1,\"chunkDigest\":\"" D "\""),
			OL_ECORRUPT, "cover 4 of its 5" },
		{ FILE_OF("5", "\"chunkSize\":6,\"offset\":1,\"chunkDigest\":\"" D "\""),
			OL_ECORRUPT, "does not follow" },
		{ FILE_OF("5", "\"chunkOffset\":1,\"offset\":1,\"chunkDigest\":\"" D "\""),
			OL_ECORRUPT, "does not follow" },
		{ FILE_OF("5", "\"chunkSize\":2,\"offset\":1,\"chunkDigest\":\"" D "\"") "," CHUNK(
			  "\"chunkOffset\":1,\"chunkSize\":4,\"offset\":2"),
			OL_ECORRUPT, "entry 2" },
		{ FILE_OF("5", "\"chunkSize\":2,\"offset\":1,\"chunkDigest\":\"" D "\"") "," CHUNK(
			  "\"chunkOffset\":3,\"chunkSize\":2,\"offset\":2"),
			OL_ECORRUPT, "does not follow" },
		{ FILE_OF("5", "\"offset\":1,\"chunkDigest\":\"" D "\"") "," CHUNK(
			  "\"chunkOffset\":5"),
			OL_ECORRUPT, "a chunk of no file" },
		{ CHUNK("\"offset\":1"), OL_ECORRUPT, "a chunk of no file" },
		{ FILE_OF("0", "\"offset\":1") "," CHUNK("\"offset\":1"), OL_ECORRUPT,
			"a chunk of no file" },
		{ FILE_OF("99999999999999999", "\"offset\":1,\"digest\":\"" D "\""), OL_ECORRUPT,
			"out of range" },
		{ FILE_OF("1e3", "\"offset\":1"), OL_ECORRUPT, "out of range" },
		{ FILE_OF("5", "\"size\":5"), OL_ECORRUPT, "twice" },
		{ FILE_OF("5", "\"digest\":\"md5:00\""), OL_ECORRUPT, "digest" },
		{ "{\"name\":\"a\"}", OL_ECORRUPT, "type" },
		{ "{\"name\":\"a\",\"type\":\"socket\"}", OL_ECORRUPT, "type" },
		{ "{\"name\":7,\"type\":\"dir\"}", OL_ECORRUPT, "wrong type" },
		{ "{\"name\":\"a\",\"type\":\"dir\",\"uid\":4294967295}", OL_ECORRUPT,
			"out of range" },
		{ "{\"name\":\"a\",\"type\":\"dir\",\"modtime\":\"yesterday\"}", OL_ECORRUPT,
			"time" },
		{ "{\"name\":\"a\",\"type\":\"dir\",\"xattrs\":[]}", OL_ECORRUPT, "xattrs" },
		{ "{\"name\":\"a\",\"type\":\"dir\",\"xattrs\":{\"user.a\":\"!\"}}", OL_ECORRUPT,
			"base64" },
		{ "{\"name\":\"a\",\"type\":\"dir\",\"xattrs\":{\"user.a\":1}}", OL_ECORRUPT,
			"xattr" },
		{ "7", OL_ECORRUPT, "no object" },
		{ "{]", OL_ECORRUPT, "not JSON" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);
		ol_error err = { 0 };

		CHECK_INT(c->entries, c->rc, parse(c->entries, &out, &err));
		if (!strstr(err.text, c->words))
			CHECK_STR(c->entries, c->words, err.text);
	}
}

static void a_document_is_whole(void **state)
{
	static const struct {
		const char *json;
		int rc;
	} cases[] = {
		{ "{\"version\":1,\"entries\":[]}", OL_OK },
		{ "{\"entries\":[],\"tarSplitDigest\":\"" D "\",\"version\":1}", OL_OK },
		{ "{\"version\":1,\"entries\":null}", OL_OK },
		{ "{\"version\":2,\"entries\":[]}", OL_EUNSUPPORTED },
		{ "{\"version\":\"1\",\"entries\":[]}", OL_EUNSUPPORTED },
		{ "{\"entries\":[]}", OL_ECORRUPT },
		{ "{\"version\":1}", OL_ECORRUPT },
		{ "{\"version\":1,\"version\":1,\"entries\":[]}", OL_ECORRUPT },
		{ "{\"version\":1,\"entries\":[],\"entries\":[]}", OL_ECORRUPT },
		{ "{\"version\":1,\"entries\":{}}", OL_ECORRUPT },
		{ "{\"version\":1,\"entries\":[]} x", OL_ECORRUPT },
		{ "[]", OL_ECORRUPT },
		{ "", OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_str ol_str out = OL_STR(4096);

		CHECK_INT(c->json, c->rc,
			ol_toc_json_parse(ol_view_of(c->json), 1000,
				&(ol_toc_handler){ write_entry, &out }, NULL));
	}
}

static int refuse_all(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	(void)ctx;
	(void)entry;
	return ol_fail(err, OL_ECANCELED, "enough");
}

static void a_handlers_refusal_is_passed_on(void **state)
{
	ol_error err = { 0 };

	(void)state;
	assert_int_equal(OL_ECANCELED,
		ol_toc_json_parse(
			ol_view_of(
				"{\"version\":1,\"entries\":[{\"name\":\"d\",\"type\":\"dir\"}]}"),
			10, &(ol_toc_handler){ refuse_all, NULL }, &err));
	assert_string_equal("enough", err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_out_with_their_chunks),
		cmocka_unit_test(what_does_not_add_up_is_refused),
		cmocka_unit_test(a_document_is_whole),
		cmocka_unit_test(a_handlers_refusal_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
