#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "tests/erofs_box.h"

#define LONG_TARGET 4095
#define MANY        6000
#define WIDE        20000

#define DIR(n)                                                                                     \
	{                                                                                          \
		.type = OL_TAR_DIR, .name = (n), .mode = 0755                                      \
	}
#define FILE_OF(n, s)                                                                              \
	{                                                                                          \
		.type = OL_TAR_FILE, .name = (n), .mode = 0644, .size = (s)                        \
	}
#define LINK(n, t)                                                                                 \
	{                                                                                          \
		.type = OL_TAR_HARDLINK, .name = (n), .target = (t)                                \
	}
#define WHITEOUT(n)                                                                                \
	{                                                                                          \
		.type = OL_TAR_WHITEOUT, .name = (n)                                               \
	}
#define OPAQUE(n)                                                                                  \
	{                                                                                          \
		.type = OL_TAR_OPAQUE, .name = (n)                                                 \
	}
#define ROOT     "/ d 0755 0:0 0.000000000 trusted.orlop.implied=\n"
#define COUNT(a) (sizeof(a) / sizeof *(a))

static void check_text(const char *label, const erofs_box *box, const char *want)
{
	ol_auto_str ol_str text = box_text(box);

	CHECK_STR(label, want, ol_str_text(&text));
}

static void what_an_entry_says_is_read_back(void **state)
{
	static const ol_xattr xattrs[] = {
		{ { "security.capability", 19 }, { "\1\0\0\2", 4 } },
		{ { "system.posix_acl_access", 23 }, { "acl", 3 } },
		{ { "trusted.x", 9 }, { "", 0 } },
		{ { "user.note", 9 }, { "text", 4 } },
	};
	static const ol_tar_entry entries[] = {
		{ .type = OL_TAR_DIR, .name = "", .mode = 0700, .uid = 5, .mtime = { 9, 8 } },
		{ .type = OL_TAR_DIR, .name = "d", .mode = 01777, .uid = 4294967294, .gid = 70000 },
		{ .type = OL_TAR_FILE,
			.name = "d/f",
			.mode = 04755,
			.size = 1000,
			.mtime = { 253402300799, 999999999 },
			.xattrs = xattrs,
			.xattr_count = COUNT(xattrs) },
		FILE_OF("d/empty", 0),
		{ .type = OL_TAR_SYMLINK, .name = "d/l", .target = "f", .mode = 0600 },
		{ .type = OL_TAR_CHAR,
			.name = "d/null",
			.mode = 0666,
			.dev_major = 1,
			.dev_minor = 3 },
		{ .type = OL_TAR_BLOCK,
			.name = "d/big",
			.mode = 0600,
			.dev_major = 259,
			.dev_minor = 70000 },
		{ .type = OL_TAR_FIFO, .name = "d/p", .mode = 0600 },
	};
	erofs_box box = box_write(entries, COUNT(entries), BOX_BUDGET);

	(void)state;
	check_text("tree", &box,
		"/ d 0700 5:0 9.000000008\n"
		"/d d 1777 4294967294:70000 0.000000000\n"
		"/d/big b 0600 0:0 0.000000000 259:70000\n"
		"/d/empty - 0644 0:0 0.000000000 0=\n"
		"/d/f - 4755 0:0 253402300799.999999999 security.capability=\\x01\\x00\\x00\\x02"
		" system.posix_acl_access=acl trusted.x= user.note=text 1000=1:4096+1000\n"
		"/d/l l 0777 0:0 0.000000000 -> f\n"
		"/d/null c 0666 0:0 0.000000000 1:3\n"
		"/d/p p 0600 0:0 0.000000000\n");
	CHECK_INT("leans", false, box.written.leans);
	box_done(&box);
}

static void an_empty_layer_has_a_root(void **state)
{
	erofs_box box = box_write(NULL, 0, BOX_BUDGET);

	(void)state;
	check_text("tree", &box, ROOT);
	box_done(&box);
}

/* Every row is one layer; the root's line is left out of what is expected.
 * NOLINTNEXTLINE(readability-function-size): a table */
static void entries_of_one_path_fold_into_one_node(void **state)
{
	static const struct {
		const char *label;
		ol_tar_entry entries[6];
		size_t count;
		const char *want;
		bool leans;
	} rows[] = {
		{ "the last one wins", { FILE_OF("f", 1), FILE_OF("f", 2) }, 2,
			"/f - 0644 0:0 0.000000000 2=1:4608+2\n", false },
		{ "a directory keeps its children", { DIR("d"), FILE_OF("d/f", 0), DIR("d") }, 3,
			"/d d 0755 0:0 0.000000000\n/d/f - 0644 0:0 0.000000000 0=\n", false },
		{ "a directory listed after its children",
			{ FILE_OF("d/f", 0), { .type = OL_TAR_DIR, .name = "d", .mode = 0711 } }, 2,
			"/d d 0711 0:0 0.000000000\n/d/f - 0644 0:0 0.000000000 0=\n", false },
		{ "a file takes a directory's place",
			{ DIR("d"), FILE_OF("d/f", 0), FILE_OF("d", 0) }, 3,
			"/d - 0644 0:0 0.000000000 0=\n", false },
		{ "a directory takes a file's place, and hides what was there",
			{ FILE_OF("d", 0), DIR("d"), FILE_OF("d/f", 0) }, 3,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n"
			"/d/f - 0644 0:0 0.000000000 0=\n",
			false },
		{ "children before a replacement are gone, those after it stay",
			{ DIR("d"), FILE_OF("d/old", 0), FILE_OF("d", 0), DIR("d"),
				FILE_OF("d/new", 0) },
			5,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n"
			"/d/new - 0644 0:0 0.000000000 0=\n",
			false },
		{ "grandchildren go with a replaced directory",
			{ FILE_OF("d/e/f", 0), FILE_OF("d", 0), DIR("d") }, 3,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n", false },
		{ "a child makes a file a directory", { FILE_OF("d", 0), FILE_OF("d/f", 0) }, 2,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n"
			"/d/f - 0644 0:0 0.000000000 0=\n",
			false },
		{ "parents that are not listed lean on the layers below", { FILE_OF("a/b/f", 0) },
			1,
			"/a d 0755 0:0 0.000000000 trusted.orlop.implied=\n"
			"/a/b d 0755 0:0 0.000000000 trusted.orlop.implied=\n"
			"/a/b/f - 0644 0:0 0.000000000 0=\n",
			true },
		{ "a whiteout alone", { DIR("d"), WHITEOUT("d/x") }, 2,
			"/d d 0755 0:0 0.000000000 trusted.overlay.origin=\n"
			"/d/x c 0000 0:0 0.000000000 0:0\n",
			false },
		{ "a whiteout before a file", { WHITEOUT("f"), FILE_OF("f", 0) }, 2,
			"/f - 0644 0:0 0.000000000 0=\n", false },
		{ "a whiteout after a file", { FILE_OF("f", 0), WHITEOUT("f") }, 2,
			"/f - 0644 0:0 0.000000000 0=\n", false },
		{ "a whiteout beside a directory makes it opaque", { DIR("d"), WHITEOUT("d") }, 2,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n", false },
		{ "a whiteout beside an implied directory: nothing to lean on",
			{ WHITEOUT("d"), FILE_OF("d/f", 0) }, 2,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n"
			"/d/f - 0644 0:0 0.000000000 0=\n",
			false },
		{ "opaque first, whiteouts inside are dropped",
			{ DIR("d"), OPAQUE("d"), WHITEOUT("d/x") }, 3,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n", false },
		{ "opaque last, whiteouts inside are dropped, deeper ones too",
			{ DIR("d"), WHITEOUT("d/e/x"), OPAQUE("d") }, 3,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n"
			"/d/e d 0755 0:0 0.000000000\n",
			false },
		{ "an opaque directory that is not listed leans", { OPAQUE("d") }, 1,
			"/d d 0755 0:0 0.000000000 trusted.overlay.opaque=y "
			"trusted.orlop.implied=\n",
			true },
		{ "a whiteout in a directory that is not listed", { WHITEOUT("d/x") }, 1,
			"/d d 0755 0:0 0.000000000 trusted.overlay.origin= trusted.orlop.implied=\n"
			"/d/x c 0000 0:0 0.000000000 0:0\n",
			true },
	};

	(void)state;
	OL_EACH (rows, row) {
		erofs_box box = box_write(row->entries, row->count, BOX_BUDGET);
		ol_auto_str ol_str text = box_text(&box);

		/* A whiteout in the root marks it: both ways to write its line end alike. */
		assert_true(strstr(ol_str_text(&text), "trusted.orlop.implied=\n") != NULL);
		CHECK_STR(row->label, row->want, strchr(ol_str_text(&text), '\n') + 1);
		CHECK_INT(row->label, row->leans, box.written.leans);
		box_done(&box);
	}
}

static void the_root_is_marked_too(void **state)
{
	static const ol_tar_entry entries[] = { DIR(""), OPAQUE("") };
	static const ol_tar_entry whiteout[] = { WHITEOUT("x") };
	erofs_box box = box_write(entries, COUNT(entries), BOX_BUDGET);

	(void)state;
	check_text("opaque", &box, "/ d 0755 0:0 0.000000000 trusted.overlay.opaque=y\n");
	box_done(&box);
	box = box_write(whiteout, COUNT(whiteout), BOX_BUDGET);
	check_text("whiteout", &box,
		"/ d 0755 0:0 0.000000000 trusted.overlay.origin= trusted.orlop.implied=\n"
		"/x c 0000 0:0 0.000000000 0:0\n");
	box_done(&box);
}

static void hard_links_mean_the_inode_of_their_time(void **state)
{
	static const struct {
		const char *label;
		ol_tar_entry entries[6];
		size_t count;
		const char *want;
		int rc;
	} rows[] = {
		{ "two names", { FILE_OF("a", 1), LINK("b", "a") }, 2,
			"/a - 0644 0:0 0.000000000 n=2 1=1:4096+1\n"
			"/b - 0644 0:0 0.000000000 n=2 1=1:4096+1\n",
			OL_OK },
		{ "a chain", { FILE_OF("c", 1), LINK("b", "c"), LINK("a", "b"), LINK("d", "a") }, 4,
			"/a - 0644 0:0 0.000000000 n=4 1=1:4096+1\n"
			"/b - 0644 0:0 0.000000000 n=4 1=1:4096+1\n"
			"/c - 0644 0:0 0.000000000 n=4 1=1:4096+1\n"
			"/d - 0644 0:0 0.000000000 n=4 1=1:4096+1\n",
			OL_OK },
		{ "the target is replaced later",
			{ FILE_OF("a", 1), LINK("b", "a"), FILE_OF("a", 2), LINK("c", "a"),
				LINK("d", "b") },
			5,
			"/a - 0644 0:0 0.000000000 n=2 2=1:4608+2\n"
			"/b - 0644 0:0 0.000000000 n=2 1=1:4096+1\n"
			"/c - 0644 0:0 0.000000000 n=2 2=1:4608+2\n"
			"/d - 0644 0:0 0.000000000 n=2 1=1:4096+1\n",
			OL_OK },
		{ "the target's directory is replaced later",
			{ DIR("d"), FILE_OF("d/a", 1), LINK("b", "d/a"), FILE_OF("d", 0) }, 4,
			"/b - 0644 0:0 0.000000000 1=1:4096+1\n/d - 0644 0:0 0.000000000 0=\n",
			OL_OK },
		{ "a link is replaced later", { FILE_OF("a", 1), LINK("b", "a"), FILE_OF("b", 0) },
			3, "/a - 0644 0:0 0.000000000 1=1:4096+1\n/b - 0644 0:0 0.000000000 0=\n",
			OL_OK },
		{ "links to a symbolic link and to a device",
			{ { .type = OL_TAR_SYMLINK, .name = "s", .target = "x", .mode = 0777 },
				LINK("t", "s"),
				{ .type = OL_TAR_CHAR,
					.name = "z",
					.dev_major = 1,
					.dev_minor = 5 },
				LINK("y", "z") },
			4,
			"/s l 0777 0:0 0.000000000 n=2 -> x\n"
			"/t l 0777 0:0 0.000000000 n=2 -> x\n"
			"/y c 0000 0:0 0.000000000 n=2 1:5\n/z c 0000 0:0 0.000000000 n=2 1:5\n",
			OL_OK },
		{ "a target that comes later is one of the layers below",
			{ LINK("b", "a"), FILE_OF("a", 1) }, 2,
			"/a - 0644 0:0 0.000000000 1=1:4096+1\n"
			"/b - 0000 0:0 0.000000000 trusted.orlop.link=a 0=\n",
			OL_OK },
		{ "a chain that ends below", { LINK("b", "x"), LINK("a", "b"), LINK("c", "c") }, 3,
			"/a - 0000 0:0 0.000000000 trusted.orlop.link=x 0=\n"
			"/b - 0000 0:0 0.000000000 trusted.orlop.link=x 0=\n"
			"/c - 0000 0:0 0.000000000 trusted.orlop.link=c 0=\n",
			OL_OK },
		{ "a directory", { DIR("d"), LINK("b", "d") }, 2, "", OL_ECORRUPT },
		{ "an implied directory", { FILE_OF("d/f", 0), LINK("b", "d") }, 2, "",
			OL_ECORRUPT },
		{ "the root", { LINK("b", "") }, 1, "", OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (rows, row) {
		erofs_box box = box_write(row->entries, row->count, BOX_BUDGET);

		CHECK_INT(row->label, row->rc, box.rc);
		if (box.rc == OL_OK) {
			ol_auto_str ol_str text = box_text(&box);

			CHECK_STR(row->label, row->want, ol_str_text(&text) + strlen(ROOT));
		}
		box_done(&box);
	}
}

static void sparse_files_get_the_largest_chunk_that_fits(void **state)
{
	static const ol_sparse none[1];
	static const ol_sparse two[] = { { 4096, 4096 }, { 1048576, 8192 } };
	static const ol_sparse tail[] = { { 512, 100 } };
	static const ol_sparse odd_start[] = { { 100, 512 } };
	static const ol_sparse odd_end[] = { { 0, 100 }, { 1024, 512 } };
	static const ol_sparse far[] = { { 512, 512 } };
	static const struct {
		const char *label, *want;
		const ol_sparse *pieces;
		size_t count;
		uint64_t size, offset;
		int rc;
	} rows[] = {
		{ "one hole", "1000000=hole+1000000", none, 0, 1000000, 0, OL_OK },
		{ "two pieces",
			"2000000=hole+4096,1:4096+4096,hole+1040384,1:8192+8192,hole+943232", two,
			2, 2000000, 0, OL_OK },
		{ "a tail", "612=hole+512,1:4096+100", tail, 1, 612, 0, OL_OK },
		{ "no holes", "5000=1:4096+5000", NULL, 0, 5000, 0, OL_OK },
		{ "begins within a block", "", odd_start, 1, 4096, 0, OL_EUNSUPPORTED },
		{ "ends within a block", "", odd_end, 2, 4096, 0, OL_EUNSUPPORTED },
		{ "ends before a hole, within a block", "", tail, 1, 4096, 0, OL_EUNSUPPORTED },
		{ "lies within a block of the tar", "", NULL, 0, 100, 700, OL_EUNSUPPORTED },
		{ "too many chunks", "", far, 1, (uint64_t)513 << 20, 0, OL_EUNSUPPORTED },
		{ "too far in the tar", "", NULL, 0, 512, (uint64_t)1 << 42, OL_EUNSUPPORTED },
	};

	(void)state;
	OL_EACH (rows, row) {
		const ol_tar_entry entry = { .type = OL_TAR_FILE,
			.name = "f",
			.size = row->size,
			.data_offset = row->offset,
			.sparse = row->pieces,
			.sparse_count = row->count };
		erofs_box box = box_write(&entry, 1, BOX_BUDGET);

		CHECK_INT(row->label, row->rc, box.rc);
		if (box.rc == OL_OK) {
			ol_auto_str ol_str text = box_text(&box);
			char *end = strrchr(ol_str_text(&text), ' ');

			assert_non_null(end);
			end[strcspn(end, "\n")] = '\0';
			CHECK_STR(row->label, row->want, end + 1);
		}
		box_done(&box);
	}
}

static void what_no_index_can_hold_is_refused(void **state)
{
	static char long_name[OL_NAME_MAX + 2], large[65536];
	const ol_xattr system = { { "system.nfs4_acl", 15 }, { "", 0 } };
	const ol_xattr huge = { { "user.x", 6 }, { large, sizeof large } };
	const struct {
		const char *label;
		ol_tar_entry entry;
		int rc;
	} rows[] = {
		{ "a forged whiteout", { .type = OL_TAR_CHAR, .name = "f" }, OL_ECORRUPT },
		{ "a root that is a file", FILE_OF("", 1), OL_ECORRUPT },
		{ "a name too long", FILE_OF(long_name, 1), OL_ELIMIT },
		{ "an empty name inside", FILE_OF("a//b", 1), OL_ELIMIT },
		{ "an xattr of a kind it has no prefix for",
			{ .type = OL_TAR_DIR, .name = "d", .xattrs = &system, .xattr_count = 1 },
			OL_EUNSUPPORTED },
		{ "an xattr too large",
			{ .type = OL_TAR_DIR, .name = "d", .xattrs = &huge, .xattr_count = 1 },
			OL_EUNSUPPORTED },
	};

	(void)state;
	memset(long_name, 'x', sizeof long_name - 1);
	OL_EACH (rows, row) {
		erofs_box box = box_write(&row->entry, 1, BOX_BUDGET);

		CHECK_INT(row->label, row->rc, box.rc);
		box_done(&box);
	}
}

static void symbolic_links_of_any_length_come_back(void **state)
{
	static const size_t sizes[] = { 1, 100, 383, 384, 385, 447, 448, 449, 511, 512, 513, 4095 };
	static char target[LONG_TARGET + 1];
	const ol_xattr xattr = { { "trusted.t", 9 }, { "abc", 3 } };

	(void)state;
	OL_EACH (sizes, size) {
		ol_tar_entry entries[3] = { FILE_OF("a", 5) };
		erofs_box box;
		ol_erofs *erofs;
		ol_erofs_inode inode;
		char found[OL_PATH_MAX + 1];

		memset(target, 't', sizeof target);
		target[*size] = '\0';
		for (int i = 1; i < 3; i++)
			entries[i] = (ol_tar_entry){ .type = OL_TAR_SYMLINK,
				.name = i == 1 ? "l" : "m",
				.target = target,
				.xattrs = &xattr,
				.xattr_count = i == 2 };
		box = box_write(entries, 3, BOX_BUDGET);
		erofs = box_open(&box);
		CHECK_INT("find", OL_OK, ol_erofs_find(erofs, "m", &inode, NULL));
		CHECK_INT("read", OL_OK, ol_erofs_readlink(erofs, &inode, found, NULL));
		CHECK_STR("target", target, found);
		CHECK_INT("find", OL_OK, ol_erofs_find(erofs, "l", &inode, NULL));
		CHECK_INT("read", OL_OK, ol_erofs_readlink(erofs, &inode, found, NULL));
		CHECK_STR("target", target, found);
		(void)box_fsck(&box, 1 << 20);
		ol_erofs_close(erofs);
		box_done(&box);
	}
}

/* A layer with some of everything, in an order that is none. */
static ol_tar_entry *many_entries(ol_arena *arena, size_t count)
{
	ol_tar_entry *entries = ol_arena_alloc(arena, count * sizeof *entries);
	uint32_t seed = 11;

	for (size_t i = 0; i < count; i++) {
		char name[64], target[64];
		uint32_t r = seed = seed * 1664525 + 1013904223;

		(void)snprintf(
			name, sizeof name, "d%u/e%u/f%u", r >> 29, r >> 26 & 7, r >> 8 & 0xfff);
		(void)snprintf(target, sizeof target, "d%u/e%u/f%u", r >> 27 & 7, r >> 26 & 7,
			r >> 10 & 0xfff);
		entries[i] = (ol_tar_entry){ .type = OL_TAR_FILE,
			.name = ol_arena_strdup(arena, name),
			.target = "",
			.size = r % 3000,
			.mtime = { (time_t)i, 0 } };
		if (r % 7 == 0)
			entries[i].type = OL_TAR_WHITEOUT;
		else if (r % 11 == 0)
			entries[i] =
				(ol_tar_entry)LINK(entries[i].name, ol_arena_strdup(arena, target));
	}
	return entries;
}

static void the_budget_does_not_change_the_bytes(void **state)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_tar_entry *entries = many_entries(arena, MANY);
	erofs_box large = box_write(entries, MANY, (size_t)64 << 20);
	erofs_box again = box_write(entries, MANY, (size_t)64 << 20);
	erofs_box small = box_write(entries, MANY, 4096);
	ol_auto_str ol_str text = box_text(&large);

	(void)state;
	assert_true(text.size > MANY);
	assert_true(ol_digest_eq(&large.written.digest, &again.written.digest));
	assert_true(ol_digest_eq(&large.written.digest, &small.written.digest));
	(void)box_fsck(&large, (uint64_t)1 << 30);
	box_done(&large);
	box_done(&again);
	box_done(&small);
}

static void a_wide_directory_keeps_all_its_names(void **state)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_tar_entry *entries = ol_arena_alloc(arena, WIDE * sizeof *entries);
	ol_auto(ol_erofs_close) ol_erofs *erofs = NULL;
	ol_erofs_inode inode;
	erofs_box box;

	(void)state;
	for (size_t i = 0; i < WIDE; i++) {
		char name[64];

		/* Some sort before ".", and so before the first block's first names. */
		(void)snprintf(
			name, sizeof name, "wide/%c%zu", (char)('!' + i % 60), i * 7919 % WIDE);
		if (strchr(name + 5, '/'))
			name[5] = '_';
		entries[i] = (ol_tar_entry)FILE_OF(ol_arena_strdup(arena, name), 0);
	}
	box = box_write(entries, WIDE, BOX_BUDGET);
	erofs = box_open(&box);
	for (size_t i = 0; i < WIDE; i++)
		CHECK_INT(entries[i].name, OL_OK,
			ol_erofs_find(erofs, entries[i].name, &inode, NULL));
	CHECK_INT("none", OL_ENOTFOUND, ol_erofs_find(erofs, "wide/none", &inode, NULL));
	CHECK_INT("through", OL_ENOTFOUND, ol_erofs_find(erofs, "wide/none/more", &inode, NULL));
	(void)box_fsck(&box, 1 << 20);
	box_done(&box);
}

static void a_deep_path_is_written(void **state)
{
	static char path[2 * OL_PATH_DEPTH_MAX];
	ol_tar_entry entry = FILE_OF(path, 1);
	ol_auto(ol_erofs_close) ol_erofs *erofs = NULL;
	ol_erofs_inode inode;
	erofs_box box;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof path; i++)
		path[i] = i % 2 ? '/' : 'x';
	box = box_write(&entry, 1, BOX_BUDGET);
	erofs = box_open(&box);
	CHECK_INT("find", OL_OK, ol_erofs_find(erofs, path, &inode, NULL));
	CHECK_INT("size", 1, (long long)inode.size);
	box_done(&box);
}

static void fsck_accepts_what_is_written(void **state)
{
	static const ol_sparse pieces[] = { { 4096, 4096 } };
	static const ol_xattr xattrs[] = { { { "user.a", 6 }, { "", 0 } },
		{ { "user.b", 6 }, { "x", 1 } } };
	static const ol_tar_entry entries[] = {
		DIR(""),
		DIR("d"),
		{ .type = OL_TAR_FILE,
			.name = "d/s",
			.size = 100000,
			.sparse = pieces,
			.sparse_count = 1,
			.xattrs = xattrs,
			.xattr_count = 2 },
		FILE_OF("d/f", 3000),
		LINK("g", "d/f"),
		WHITEOUT("d/w"),
		OPAQUE("o"),
		{ .type = OL_TAR_FIFO, .name = "p" },
	};
	erofs_box box = box_write(entries, COUNT(entries), BOX_BUDGET),
		  empty = box_write(NULL, 0, BOX_BUDGET);

	(void)state;
	assert_int_equal(OL_OK, box.rc);
	if (!box_fsck(&box, 1 << 20)) {
		print_message(
			"SKIP: no fsck.erofs of 1.8 or later on PATH or in ORLOP_FSCK_EROFS\n");
		box_done(&box);
		box_done(&empty);
		skip();
	}
	(void)box_fsck(&empty, 1 << 20);
	box_done(&box);
	box_done(&empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_entry_says_is_read_back),
		cmocka_unit_test(an_empty_layer_has_a_root),
		cmocka_unit_test(entries_of_one_path_fold_into_one_node),
		cmocka_unit_test(the_root_is_marked_too),
		cmocka_unit_test(hard_links_mean_the_inode_of_their_time),
		cmocka_unit_test(sparse_files_get_the_largest_chunk_that_fits),
		cmocka_unit_test(what_no_index_can_hold_is_refused),
		cmocka_unit_test(symbolic_links_of_any_length_come_back),
		cmocka_unit_test(the_budget_does_not_change_the_bytes),
		cmocka_unit_test(a_wide_directory_keeps_all_its_names),
		cmocka_unit_test(a_deep_path_is_written),
		cmocka_unit_test(fsck_accepts_what_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
