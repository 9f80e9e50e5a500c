/* A layer in, its ztoc out: what manifest/ztoc.h reads of it is what the tar holds. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/temp.h"
#include "manifest/ztoc_writer.h"
#include "snapshot/gzip_file.h"
#include "snapshot/ztoc_make.h"
#include "tests/check.h"
#include "tests/tar_builder.h"

#define MORE ((size_t)64 << 20)

struct memory_sink {
	ol_sink sink;
	ol_buf bytes;
};

static int sink_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	struct memory_sink *memory = (struct memory_sink *)sink;

	(void)err;
	return ol_buf_add(&memory->bytes, data, size);
}

static void sink_close(ol_sink *sink)
{
	(void)sink;
}

/* The tar as a blob. */
static ol_buf pack(const ol_buf *tar, bool gzip)
{
	ol_buf blob = OL_BUF(MORE);
	ol_gzipped gzipped;
	ol_reader *reader;
	char *room;
	int fd;

	if (!gzip) {
		(void)ol_buf_add(&blob, tar->data, tar->size);
		return blob;
	}
	assert_int_equal(OL_OK, ol_temp_open(AT_FDCWD, &fd, NULL));
	reader = ol_reader_of_memory(tar->data, tar->size);
	assert_int_equal(OL_OK, ol_gzip_file(reader, fd, NULL, &gzipped, NULL));
	ol_reader_close(reader);
	room = ol_buf_room(&blob, gzipped.size);
	assert_int_equal((ssize_t)gzipped.size, pread(fd, room, gzipped.size, 0));
	blob.size = gzipped.size;
	(void)close(fd);
	return blob;
}

static int make(
	const ol_buf *tar, const ol_buf *blob, uint64_t span_bytes, ol_buf *out, ol_error *err)
{
	static const ol_sink_ops ops = { sink_write, sink_close };
	struct memory_sink sink = { { &ops }, OL_BUF(MORE) };
	ol_reader *reader = ol_reader_of_memory(blob->data, blob->size);
	ol_autofd int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const ol_ztoc_make_options options = {
		.blob = ol_digest_of(OL_SHA256, blob->data, blob->size),
		.diff_id = ol_digest_of(OL_SHA256, tar->data, tar->size),
		.blob_size = blob->size,
		.span_bytes = span_bytes,
		.tool = "a test",
		.temp_fd = dir,
	};
	int rc = ol_ztoc_make(reader, &options, &sink.sink, err);

	ol_reader_close(reader);
	*out = sink.bytes;
	return rc;
}

struct seen {
	const char *name, *target, *record;
	ol_tar_type type;
	unsigned mode, uid;
	uint64_t size;
	long long seconds, nanoseconds;
};

struct look {
	const struct seen *next;
	const ol_buf *tar;
	size_t count;
};

static bool has_record(const ol_toc_entry *entry, const char *want)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		const ol_xattr *x = &entry->xattrs[i];
		ol_auto_str ol_str text = OL_STR(1024);

		(void)ol_str_addv(&text, x->name);
		(void)ol_str_addc(&text, '=');
		(void)ol_str_addv(&text, x->value);
		if (strcmp(ol_str_text(&text), want) == 0)
			return true;
	}
	return false;
}

static int on_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	struct look *look = ctx;
	const struct seen *want = look->next++;

	(void)err;
	look->count++;
	assert_non_null(want->name);
	CHECK_INT(want->name, true, ol_view_is(entry->name, want->name));
	CHECK_INT(want->name, true, ol_view_is(entry->target, want->target ? want->target : ""));
	CHECK_INT(want->name, want->type, entry->type);
	CHECK_INT(want->name, want->mode, entry->mode);
	CHECK_INT(want->name, want->uid, entry->uid);
	CHECK_INT(want->name, (long long)want->size, (long long)entry->size);
	CHECK_INT(want->name, want->seconds, entry->mtime.tv_sec);
	CHECK_INT(want->name, want->nanoseconds, entry->mtime.tv_nsec);
	if (want->record)
		CHECK_INT(want->name, true, has_record(entry, want->record));
	/* Its bytes stand where it says. */
	if (entry->size > 0)
		CHECK_INT(want->name, 'd', look->tar->data[entry->data_offset]);
	return OL_OK;
}

static const tar_member members[] = {
	{ .name = "./", .type = '5', .mode = 0755 },
	{ .name = "./dir/", .type = '5', .mode = 01777, .uid = 7, .mtime = 1700000000 },
	{ .name = "./dir/file", .data = "data of it", .pax = { "mtime=1700000001.000000005" } },
	{ .name = "x",
		.data = "d",
		.pax = { "path=long\xff", "SCHILY.xattr.user.a=1", "SCHILY.xattr.user.a=2" } },
	{ .name = "dir/.wh.gone" },
	{ .name = "dir/.wh..wh.aufs", .data = "dropped by us" },
	{ .name = "link", .type = '2', .link = "../dir/file" },
	{ .name = "hard", .type = '1', .link = "./dir/file" },
	{ .name = "null", .type = '3', .major = 1, .minor = 3, .long_name = "device" },
	{ .name = "pipe", .type = '6', .magic = TAR_MAGIC_GNU },
	{ .name = "old/", .type = '\1', .magic = TAR_MAGIC_V7 },
	{ .name = NULL },
};

static const struct seen expected[] = {
	{ "./", NULL, NULL, OL_TAR_DIR, 0755, 0, 0, 0, 0 },
	{ "./dir/", NULL, NULL, OL_TAR_DIR, 01777, 7, 0, 1700000000, 0 },
	{ "./dir/file", NULL, "mtime=1700000001.000000005", OL_TAR_FILE, 0644, 0, 10, 1700000001,
		5 },
	{ "long\xff", NULL, "SCHILY.xattr.user.a=2", OL_TAR_FILE, 0644, 0, 1, 0, 0 },
	{ "dir/.wh.gone", NULL, NULL, OL_TAR_FILE, 0644, 0, 0, 0, 0 },
	{ "dir/.wh..wh.aufs", NULL, NULL, OL_TAR_FILE, 0644, 0, 13, 0, 0 },
	{ "link", "../dir/file", NULL, OL_TAR_SYMLINK, 0644, 0, 0, 0, 0 },
	{ "hard", "./dir/file", NULL, OL_TAR_HARDLINK, 0644, 0, 0, 0, 0 },
	{ "device", NULL, NULL, OL_TAR_CHAR, 0644, 0, 0, 0, 0 },
	{ "pipe", NULL, NULL, OL_TAR_FIFO, 0644, 0, 0, 0, 0 },
	{ "old/", NULL, NULL, OL_TAR_DIR, 0644, 0, 0, 0, 0 },
	{ .name = NULL },
};

static void what_is_read_is_what_the_tar_holds(void **state)
{
	ol_auto_buf ol_buf tar = tar_build(members);

	(void)state;
	for (int gzip = 0; gzip < 2; gzip++) {
		ol_auto_buf ol_buf blob = pack(&tar, gzip);
		ol_auto_buf ol_buf bytes = { 0 };
		struct look look = { .next = expected, .tar = &tar };
		ol_error err = { 0 };
		ol_ztoc ztoc;

		CHECK_STR("made", "", make(&tar, &blob, 4096, &bytes, &err) < 0 ? err.text : "");
		CHECK_STR("read", "",
			ol_ztoc_parse(ol_buf_view(&bytes), &ztoc, &err) < 0 ? err.text : "");
		CHECK_INT("kind", gzip, ztoc.gzip);
		CHECK_INT("blob", (long long)blob.size, (long long)ztoc.blob_size);
		CHECK_INT("tar", (long long)tar.size, (long long)ztoc.tar_size);
		CHECK_INT("span", 4096, (long long)ztoc.span_bytes);
		CHECK_INT("version", false, ztoc.first_implied);
		CHECK_INT("aligned", 0, (long long)(bytes.size % 8));
		assert_int_equal(
			OL_OK, ol_ztoc_entries(&ztoc, &(ol_toc_handler){ on_entry, &look }, &err));
		CHECK_INT("count", sizeof members / sizeof *members - 1, (long long)look.count);
		for (size_t i = 0; i < ztoc.span_count; i++) {
			uint64_t begin, end;
			ol_digest digest;

			ol_ztoc_span(&ztoc, i, &begin, &end);
			digest = ol_digest_of(OL_SHA256, blob.data + begin, end - begin);
			CHECK_INT("span's digest", true,
				ol_digest_eq(&digest, &ztoc.span_digests[i]));
		}
		ol_ztoc_done(&ztoc);
	}
}

static void what_others_would_read_otherwise_is_refused(void **state)
{
	static const struct {
		const char *name;
		tar_member member;
		int rc;
	} cases[] = {
		{ "sound", { .name = "a", .data = "b" }, OL_OK },
		{ "before 1970", { .name = "a", .pax = { "mtime=-1.5" } }, OL_EUNSUPPORTED },
		{ "before 1970, in the block",
			{ .name = "a",
				.patches = { { 136,
					"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
					12 } } },
			OL_EUNSUPPORTED },
		{ "global headers", { .name = "a", .global = { "comment=x" } }, OL_EUNSUPPORTED },
		{ "sparse",
			{ .name = "a",
				.data = "b",
				.pax = { "GNU.sparse.major=0", "GNU.sparse.minor=1",
					"GNU.sparse.size=1", "GNU.sparse.map=0,1" } },
			OL_EUNSUPPORTED },
		{ "a volume label", { .name = "a", .type = 'V' }, OL_EUNSUPPORTED },
		{ "contiguous", { .name = "a", .type = '7' }, OL_EUNSUPPORTED },
		{ "a hard link with data",
			{ .name = "a", .type = '1', .link = "b", .data = "c", .pax = { "size=1" } },
			OL_EUNSUPPORTED },
		{ "a damaged tar", { .name = "a", .checksum = TAR_SUM_BAD }, OL_ECORRUPT },
		{ "dotdot", { .name = "../a" }, OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		const tar_member list[] = { c->member, { 0 } };
		ol_auto_buf ol_buf tar = tar_build(list);
		ol_auto_buf ol_buf blob = pack(&tar, true);
		ol_auto_buf ol_buf bytes = { 0 };

		CHECK_INT(c->name, c->rc, make(&tar, &blob, 4096, &bytes, NULL));
		CHECK_INT(c->name, c->rc == OL_OK, bytes.size > 0);
	}
}

static void bytes_that_were_not_promised_are_refused(void **state)
{
	ol_auto_buf ol_buf tar = tar_build(members);
	ol_auto_buf ol_buf other = tar_build(members + 1);
	ol_auto_buf ol_buf blob = pack(&tar, true);
	ol_auto_buf ol_buf bytes = { 0 };
	ol_auto_buf ol_buf zstd = OL_BUF(64);
	ol_auto_buf ol_buf none = { 0 };

	(void)state;
	assert_int_equal(OL_ECORRUPT, make(&other, &blob, 4096, &bytes, NULL));
	assert_int_equal(0, bytes.size);
	(void)ol_buf_add(&zstd, "\x28\xb5\x2f\xfd\x00\x00\x00\x00", 8);
	assert_int_equal(OL_EUNSUPPORTED, make(&tar, &zstd, 4096, &none, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_what_the_tar_holds),
		cmocka_unit_test(what_others_would_read_otherwise_is_refused),
		cmocka_unit_test(bytes_that_were_not_promised_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
