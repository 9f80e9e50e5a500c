#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/tar.h"
#include "tests/check.h"
#include "tests/tar_builder.h"

#define MEMBERS 6

/* ---------------------------------------------------------------- listing -- */

typedef struct listing {
	ol_str text;
	uint64_t data_end; /* where the next data must begin */
	unsigned entries;
} listing;

/* "TYPE name>target MODE uid:gid time size", then what there is of dev, pieces, xattrs and data. */
static int on_entry(void *ctx, const ol_tar_entry *e, ol_error *err)
{
	listing *l = ctx;

	(void)err;
	if (l->entries++)
		(void)ol_str_addc(&l->text, '\n');
	(void)ol_str_addf(&l->text, "%c %s", "fhlcbdpwo"[e->type], e -> name);
	if (e->target[0])
		(void)ol_str_addf(&l->text, ">%s", e->target);
	(void)ol_str_addf(&l->text, " %o %u:%u %lld.%ld %" PRIu64, e->mode, e->uid, e->gid,
		(long long)e->mtime.tv_sec, e->mtime.tv_nsec, e->size);
	if (e->type == OL_TAR_CHAR || e->type == OL_TAR_BLOCK)
		(void)ol_str_addf(&l->text, " dev %u:%u", e->dev_major, e->dev_minor);
	if (e->sparse)
		(void)ol_str_add(&l->text, " sparse");
	for (size_t i = 0; e->sparse && i < e->sparse_count; i++)
		(void)ol_str_addf(
			&l->text, " %" PRIu64 "+%" PRIu64, e->sparse[i].offset, e->sparse[i].size);
	for (size_t i = 0; i < e->xattr_count; i++) {
		(void)ol_str_addf(&l->text, " %s=", e->xattrs[i].name.data);
		(void)ol_str_add_safe(&l->text, e->xattrs[i].value);
	}
	if (e->data_size)
		(void)ol_str_addc(&l->text, ' ');
	assert_int_equal(e->data_offset % 512, 0);
	assert_true(e->header_offset < e->data_offset);
	l->data_end = 0;
	return OL_OK;
}

static int on_data(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	listing *l = ctx;

	(void)err;
	assert_true(size > 0);
	assert_int_equal(offset, l->data_end);
	l->data_end += size;
	(void)ol_str_add_safe(&l->text, ol_view_from(data, size));
	return OL_OK;
}

/* Pushes in pieces of step bytes. The text is in l, ended by the caller. */
static int list_bytes(ol_view tar, size_t step, listing *l, ol_error *err)
{
	const ol_tar_handler handler = { on_entry, on_data, l };
	ol_auto(ol_tar_free) ol_tar *reader = ol_tar_new(&handler);
	int rc = OL_OK;

	*l = (listing){ .text = OL_STR((size_t)8 << 20) };
	for (size_t at = 0; rc == OL_OK && at < tar.size; at += step)
		rc = ol_tar_push(
			reader, tar.data + at, tar.size - at < step ? tar.size - at : step, err);
	return rc == OL_OK ? ol_tar_finish(reader, err) : rc;
}

typedef struct row {
	const char *label;
	int rc;
	const char *text; /* the listing, or a part of the error's words */
	tar_member members[MEMBERS + 1];
} row;

static void check_row(const row *r)
{
	static const size_t steps[] = { SIZE_MAX / 2, 1, 511, 513, 1000 };
	ol_auto_buf ol_buf tar = tar_build(r->members);

	OL_EACH (steps, step) {
		ol_error err = { 0 };
		listing l;
		int rc = list_bytes(ol_buf_view(&tar), *step, &l, &err);

		if (rc < 0 && r->rc == OL_OK)
			CHECK_STR(r->label, "", err.text);
		CHECK_INT(r->label, r->rc, rc);
		if (r->rc == OL_OK)
			CHECK_STR(r->label, r->text, ol_str_text(&l.text));
		else if (!strstr(err.text, r->text))
			CHECK_STR(r->label, r->text, err.text);
		ol_buf_done(&l.text);
	}
}

#define CHECK_ROWS(rows)                                                                           \
	do {                                                                                       \
		OL_EACH (rows, r)                                                                  \
			check_row(r);                                                              \
	} while (0)

/* ------------------------------------------------------------------- tests -- */

static void every_type_of_member_comes_out(void **state)
{
	static const row rows[] = {
		{ "nothing", OL_OK, "", { { 0 } } },
		{ "file", OL_OK, "f a/b 644 1:2 7.0 3 xyz",
			{ { .name = "a/b", .data = "xyz", .uid = 1, .gid = 2, .mtime = 7 } } },
		{ "empty file", OL_OK, "f a 644 0:0 0.0 0", { { .name = "a" } } },
		{ "type NUL", OL_OK, "f a 644 0:0 0.0 1 x",
			{ { .name = "a", .type = '\1', .data = "x" } } },
		{ "contiguous", OL_OK, "f a 644 0:0 0.0 1 x",
			{ { .name = "a", .type = '7', .data = "x" } } },
		{ "a type nobody knows", OL_OK, "f a 644 0:0 0.0 1 x",
			{ { .name = "a", .type = 'Q', .data = "x" } } },
		{ "directory", OL_OK, "d a 1755 0:0 0.0 0",
			{ { .name = "a/", .type = '5', .mode = 01755 } } },
		{ "old directory", OL_OK, "d a 644 0:0 0.0 0",
			{ { .name = "a/", .type = '\1', .magic = TAR_MAGIC_V7 } } },
		{ "size of a directory is no data", OL_OK, "d a 644 0:0 0.0 0\nf b 644 0:0 0.0 0",
			{ { .name = "a", .type = '5', .patches = { { 124, "00000001000" } } },
				{ .name = "b" } } },
		{ "symlink as it stands", OL_OK, "l a>/../x//./y 644 0:0 0.0 0",
			{ { .name = "a", .type = '2', .link = "/../x//./y" } } },
		{ "hard link, cleaned", OL_OK, "h a>x/y 644 0:0 0.0 0",
			{ { .name = "a", .type = '1', .link = "/x/./y/" } } },
		{ "size of a hard link is its target's", OL_OK,
			"h a>b 644 0:0 0.0 0\nf c 644 0:0 0.0 0",
			{ { .name = "a",
				  .type = '1',
				  .link = "b",
				  .patches = { { 124, "00000001000" } } },
				{ .name = "c" } } },
		{ "but pax says data follow", OL_OK, "h a>b 644 0:0 0.0 0\nf c 644 0:0 0.0 0",
			{ { .name = "a",
				  .type = '1',
				  .link = "b",
				  .data = "xyz",
				  .pax = { "size=3" } },
				{ .name = "c" } } },
		{ "character device", OL_OK, "c a 644 0:0 0.0 0 dev 1:3",
			{ { .name = "a", .type = '3', .major = 1, .minor = 3 } } },
		{ "block device by pax", OL_OK, "b a 644 0:0 0.0 0 dev 4095:1048575",
			{ { .name = "a",
				.type = '4',
				.pax = { "SCHILY.devmajor=4095", "SCHILY.devminor=1048575" } } } },
		{ "fifo", OL_OK, "p a 644 0:0 0.0 0", { { .name = "a", .type = '6' } } },
		{ "dump directories and labels are passed over", OL_OK, "f b 644 0:0 0.0 0",
			{ { .name = "a", .type = 'D', .data = "Yx" }, { .name = "v", .type = 'V' },
				{ .name = "b" } } },
		{ "multi-volume", OL_ECORRUPT, "multi-volume", { { .name = "a", .type = 'M' } } },
		{ "device 0:0", OL_ECORRUPT, "whiteout", { { .name = "a", .type = '3' } } },
		{ "device number too large", OL_ECORRUPT, "too large",
			{ { .name = "a", .type = '3', .major = 4096 } } },
		{ "symlink to nothing", OL_ECORRUPT, "to nothing",
			{ { .name = "a", .type = '2' } } },
		{ "hard link to the root", OL_ECORRUPT, "hard link to the root",
			{ { .name = "a", .type = '1', .link = "./" } } },
		{ "Windows", OL_EUNSUPPORTED, "Windows",
			{ { .name = "Files", .type = '5', .pax = { "MSWINDOWS.fileattr=16" } } } },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void names_come_out_clean(void **state)
{
	static const row rows[] = {
		{ "slashes and dots", OL_OK, "f a/b 644 0:0 0.0 0", { { .name = "/.//./a/./b" } } },
		{ "root", OL_OK, "d  755 0:0 0.0 0",
			{ { .name = "./", .type = '5', .mode = 0755 } } },
		{ "a name that fills its field", OL_OK,
			"f "
			"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
			"n"
			"nnnnnnnnnnnnnnnnnnnnnnnnn 644 0:0 0.0 0",
			{ { .name = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
				    "n"
				    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" } } },
		{ "prefix", OL_OK, "f p/q/a 644 0:0 0.0 0",
			{ { .name = "a", .patches = { { 345, "p/q" } } } } },
		{ "GNU has no prefix there", OL_OK, "f a 644 0:0 0.0 0",
			{ { .name = "a",
				.magic = TAR_MAGIC_GNU,
				.patches = { { 345, "p/q" } } } } },
		{ "V7 has none either", OL_OK, "f a 644 0:0 0.0 0",
			{ { .name = "a", .magic = TAR_MAGIC_V7, .patches = { { 345, "p/q" } } } } },
		{ "star's prefix ends before its times", OL_OK, "f p/a 644 0:0 0.0 0",
			{ { .name = "a",
				.magic = TAR_MAGIC_STAR,
				.patches = { { 345, "p" }, { 476, "00000000001" } } } } },
		{ "GNU long names", OL_OK, "l long/name>long/link 644 0:0 0.0 0",
			{ { .name = "a",
				.type = '2',
				.link = "b",
				.long_name = "long/name",
				.long_link = "long/link" } } },
		{ "path before L before prefix", OL_OK, "f p 644 0:0 0.0 0",
			{ { .name = "a", .long_name = "l", .pax = { "path=p" } } } },
		{ "linkpath before K", OL_OK, "h a>p 644 0:0 0.0 0",
			{ { .name = "a",
				.type = '1',
				.long_link = "k",
				.pax = { "linkpath=p" } } } },
		{ "x before g, and taken back", OL_OK,
			"f x 644 5:0 0.0 0\nf g 644 5:0 0.0 0\nf a 644 5:0 0.0 0",
			{ { .name = "a", .global = { "path=g", "uid=5" }, .pax = { "path=x" } },
				{ .name = "a" }, { .name = "a", .pax = { "path=" } } } },
		{ "one member's headers are not the next one's", OL_OK,
			"f x 644 0:0 0.0 0\nf b 644 0:0 0.0 0",
			{ { .name = "a", .pax = { "path=x" } }, { .name = "b" } } },
		{ "bytes that are no text", OL_OK, "f \xff\x01\n 644 0:0 0.0 0",
			{ { .name = "\xff\x01\n" } } },
		{ "dotdot", OL_ECORRUPT, "\"..\"", { { .name = "a/../b" } } },
		{ "dotdot alone", OL_ECORRUPT, "\"..\"", { { .name = ".." } } },
		{ "absolute dotdot by pax", OL_ECORRUPT, "\"..\"",
			{ { .name = "a", .pax = { "path=/../etc/passwd" } } } },
		{ "dotdot in a hard link", OL_ECORRUPT, "\"..\"",
			{ { .name = "a", .type = '1', .link = "../b" } } },
		{ "names that begin with dots are fine", OL_OK, "f ..a/...  644 0:0 0.0 0",
			{ { .name = "..a/... " } } },
		{ "a file as root", OL_ECORRUPT, "root", { { .name = "./" } } },
		{ "a symlink as root", OL_ECORRUPT, "root",
			{ { .name = ".", .type = '2', .link = "x" } } },
		{ "two x headers", OL_ECORRUPT, "two extended",
			{ { .name = "PaxHeaders", .type = 'x' },
				{ .name = "a", .pax = { "path=x" } } } },
		{ "an extension without a member", OL_ECORRUPT, "without its member",
			{ { .name = "PaxHeaders", .type = 'x', .data = "9 path=x\n" } } },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void whiteouts_are_told_apart(void **state)
{
	static const row rows[] = {
		{ "whiteout", OL_OK, "w d/x 644 0:0 0.0 0", { { .name = "d/.wh.x" } } },
		{ "at the root", OL_OK, "w x 644 0:0 0.0 0", { { .name = "./.wh.x" } } },
		{ "of any type", OL_OK, "w x 644 0:0 0.0 0\nw y 644 0:0 0.0 0\nw z 644 0:0 0.0 0",
			{ { .name = ".wh.x/", .type = '5' },
				{ .name = ".wh.y", .type = '2', .link = "/" },
				{ .name = ".wh.z", .type = '3' } } },
		{ "data of one are passed over", OL_OK, "w x 644 0:0 0.0 0\nf a 644 0:0 0.0 0",
			{ { .name = ".wh.x", .data = "data", .pax = { "SCHILY.xattr.user.a=b" } },
				{ .name = "a" } } },
		{ "opaque", OL_OK, "o d 644 0:0 0.0 0", { { .name = "d/.wh..wh..opq" } } },
		{ "opaque root", OL_OK, "o  644 0:0 0.0 0", { { .name = ".wh..wh..opq" } } },
		{ "AUFS metadata and what is beneath", OL_OK, "f b 644 0:0 0.0 0",
			{ { .name = ".wh..wh.aufs", .data = "x" },
				{ .name = ".wh..wh.plnk/", .type = '5' },
				{ .name = ".wh..wh.plnk/1.2", .data = "x" },
				{ .name = "d/.wh..wh.orph/.wh.x" }, { .name = "b" } } },
		{ "a name with .wh. inside is a name", OL_OK, "f a.wh.b 644 0:0 0.0 0",
			{ { .name = "a.wh.b" } } },
		{ "of nothing", OL_ECORRUPT, "names no file", { { .name = "d/.wh." } } },
		{ "of .", OL_ECORRUPT, "names no file", { { .name = "d/.wh.." } } },
		{ "of ..", OL_ECORRUPT, "names no file", { { .name = ".wh..." } } },
		{ "a member beneath", OL_ECORRUPT, "beneath a whiteout",
			{ { .name = ".wh.d/x" } } },
		{ "a link to one", OL_ECORRUPT, "whiteout",
			{ { .name = "a", .type = '1', .link = ".wh.x" } } },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void numbers_are_octal_or_base_256(void **state)
{
	static const row rows[] = {
		{ "spaces before, NULs after", OL_OK, "f a 755 0:0 0.0 0",
			{ { .name = "a", .patches = { { 100, "   755\0", 8 } } } } },
		{ "empty is 0", OL_OK, "f a 0 0:0 0.0 0",
			{ { .name = "a", .patches = { { 100, "\0\0\0\0\0\0\0", 8 } } } } },
		{ "no end but the field's", OL_OK, "f a 7777 0:0 0.0 0",
			{ { .name = "a", .patches = { { 100, "00107777", 8 } } } } },
		{ "base-256 uid", OL_OK, "f a 644 3000000:4294967294 0.0 0",
			{ { .name = "a",
				.patches = { { 108, "\x80\0\0\0\0\x2d\xc6\xc0", 8 },
					{ 116, "\x80\0\0\0\xff\xff\xff\xfe", 8 } } } } },
		{ "base-256 time", OL_OK, "f a 644 0:0 8589934592.0 0",
			{ { .name = "a",
				.patches = { { 136, "\x80\0\0\0\0\0\0\x02\0\0\0\0", 12 } } } } },
		{ "a time before 1970 is 1970", OL_OK, "f a 644 0:0 0.0 0",
			{ { .name = "a",
				.patches = { { 136,
					"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
					12 } } } } },
		{ "a time past 9999", OL_OK, "f a 644 0:0 253402300799.0 0",
			{ { .name = "a",
				.patches = { { 136, "\x80\0\0\0\0\xff\xff\xff\xff\xff\xff\xff",
					12 } } } } },
		{ "signed checksum", OL_OK, "f \xc3\xbc 644 0:0 0.0 0",
			{ { .name = "\xc3\xbc", .checksum = TAR_SUM_SIGNED } } },
		{ "wrong checksum", OL_ECORRUPT, "checksum",
			{ { .name = "a", .checksum = TAR_SUM_BAD } } },
		{ "no digits", OL_ECORRUPT, "the mode is no number",
			{ { .name = "a", .patches = { { 100, "0x644  ", 8 } } } } },
		{ "digit 8", OL_ECORRUPT, "the size is no number",
			{ { .name = "a", .patches = { { 124, "00000000008" } } } } },
		{ "negative size", OL_ECORRUPT, "the size is negative",
			{ { .name = "a",
				.patches = { { 124,
					"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
					12 } } } } },
		{ "size past 63 bits", OL_ECORRUPT, "the size is no number",
			{ { .name = "a",
				.patches = { { 124, "\x80\1\0\0\0\0\0\0\0\0\0\0", 12 } } } } },
		{ "size past the bound", OL_ECORRUPT, "the size is too large",
			{ { .name = "a",
				.patches = { { 124, "\x80\0\0\0\0\0\x01\0\0\0\0\x01", 12 } } } } },
		{ "uid that chown takes for none", OL_ECORRUPT, "the uid is too large",
			{ { .name = "a",
				.patches = { { 108, "\x80\0\0\0\xff\xff\xff\xff", 8 } } } } },
		{ "uid past 32 bits", OL_ECORRUPT, "the uid is too large",
			{ { .name = "a", .patches = { { 108, "\x80\0\0\1\0\0\0\0", 8 } } } } },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void pax_records_are_kept_to_the_letter(void **state)
{
	static const row rows[] = {
		{ "size, ids", OL_OK, "f a 644 3:4 0.0 2 xy",
			{ { .name = "a",
				.data = "xy",
				.patches = { { 124, "00000000000" } },
				.pax = { "size=2", "uid=3", "gid=4" } } } },
		{ "times to the nanosecond", OL_OK,
			"f a 644 0:0 1.123456789 0\nf b 644 0:0 1.0 0\nf c 644 0:0 0.0 0\n"
			"f d 644 0:0 2.500000000 0",
			{ { .name = "a", .pax = { "mtime=1.1234567899" } },
				{ .name = "b", .pax = { "mtime=1." } },
				{ .name = "c", .pax = { "mtime=-1.5" } },
				{ .name = "d", .pax = { "mtime=2.5" } } } },
		{ "a value may hold a newline", OL_OK, "f a 644 0:0 0.0 0 user.a=1\\x0a2=3",
			{ { .name = "a", .pax = { "SCHILY.xattr.user.a=1\n2=3" } } } },
		{ "xattrs sorted, last wins, empty kept", OL_OK,
			"f a 644 0:0 0.0 0 security.capability=c user.a=2 user.e= user.z=9",
			{ { .name = "a",
				.pax = { "SCHILY.xattr.user.z=9", "SCHILY.xattr.user.a=1",
					"SCHILY.xattr.user.e=",
					"SCHILY.xattr.security.capability=c",
					"SCHILY.xattr.user.a=2" } } } },
		{ "libarchive's xattrs", OL_OK, "f a 644 0:0 0.0 0 user.a=b=\\x00\\xff",
			{ { .name = "a", .pax = { "LIBARCHIVE.xattr.user.a%3Db=AP8" } } } },
		{ "only xattrs a container may have", OL_OK,
			"f a 644 0:0 0.0 0 trusted.x=1 user.overlayx=1",
			{ { .name = "a",
				.pax = { "SCHILY.xattr.trusted.overlay.opaque=y",
					"SCHILY.xattr.user.overlay.whiteout=y",
					"SCHILY.xattr.security.selinux=s",
					"SCHILY.xattr.security.ima=i", "SCHILY.xattr.trusted.x=1",
					"SCHILY.xattr.user.overlayx=1",
					"SCHILY.xattr.user.orlop.implied=1",
					"SCHILY.xattr.system.nfs4_acl=n" } } } },
		{ "a symlink has no user xattrs", OL_OK, "l a>b 644 0:0 0.0 0 trusted.x=1",
			{ { .name = "a",
				.type = '2',
				.link = "b",
				.pax = { "SCHILY.xattr.user.a=1",
					"SCHILY.xattr.trusted.x=1" } } } },
		{ "unknown keys", OL_OK, "f a 644 0:0 0.0 0",
			{ { .name = "a",
				.pax = { "comment=x", "pathx=y", "hdrcharset=BINARY" } } } },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void pax_records_that_break_the_grammar_are_refused(void **state)
{
	static const row rows[] = {
		{ "uid of none", OL_ECORRUPT, "uid",
			{ { .name = "a", .pax = { "uid=4294967295" } } } },
		{ "negative uid", OL_ECORRUPT, "uid", { { .name = "a", .pax = { "uid=-1" } } } },
		{ "size too large", OL_ECORRUPT, "size",
			{ { .name = "a", .pax = { "size=18446744073709551616" } } } },
		{ "time of letters", OL_ECORRUPT, "mtime",
			{ { .name = "a", .pax = { "mtime=1e9" } } } },
		{ "fraction of letters", OL_ECORRUPT, "mtime",
			{ { .name = "a", .pax = { "mtime=1.5x" } } } },
		{ "no seconds", OL_ECORRUPT, "mtime", { { .name = "a", .pax = { "mtime=.5" } } } },
		{ "half an escape", OL_ECORRUPT, "LIBARCHIVE",
			{ { .name = "a", .pax = { "LIBARCHIVE.xattr.user.a%4=AA" } } } },
		{ "no base64", OL_ECORRUPT, "LIBARCHIVE",
			{ { .name = "a", .pax = { "LIBARCHIVE.xattr.user.a=A-A" } } } },
		{ "record longer than the header", OL_ECORRUPT, "wrong length",
			{ { .name = "x", .type = 'x', .data = "99 path=x\n" }, { .name = "a" } } },
		{ "record without its newline", OL_ECORRUPT, "wrong length",
			{ { .name = "x", .type = 'x', .data = "9 path=xy" }, { .name = "a" } } },
		{ "length of letters", OL_ECORRUPT, "wrong length",
			{ { .name = "x", .type = 'x', .data = "a path=x\n" }, { .name = "a" } } },
		{ "length of 0", OL_ECORRUPT, "wrong length",
			{ { .name = "x", .type = 'x', .data = "0 path=x\n" }, { .name = "a" } } },
		{ "no key", OL_ECORRUPT, "without a key",
			{ { .name = "x", .type = 'x', .data = "5 =x\n" }, { .name = "a" } } },
		{ "no equals sign", OL_ECORRUPT, "without a key",
			{ { .name = "x", .type = 'x', .data = "7 path\n" }, { .name = "a" } } },
		{ "NUL in a path", OL_ECORRUPT, "path",
			{ { .name = "x", .type = 'x', .data = "12 path=a\0b\n", .data_size = 12 },
				{ .name = "a" } } },
		{ "header past the bound", OL_ELIMIT, "extended header",
			{ { .name = "x", .type = 'x', .patches = { { 124, "00004000001" } } } } },
		{ "long name past the bound", OL_ELIMIT, "extended header",
			{ { .name = "x", .type = 'L', .patches = { { 124, "00000010001" } } } } },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void sparse_files_have_their_map(void **state)
{
	static const row rows[] = {
		{ "pax 0.0", OL_OK, "f a 644 0:0 0.0 100 sparse 10+2 50+1 xyz",
			{ { .name = "a",
				.data = "xyz",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.numblocks=2",
					"GNU.sparse.offset=10", "GNU.sparse.numbytes=2",
					"GNU.sparse.offset=50", "GNU.sparse.numbytes=1" } } } },
		{ "pax 0.1", OL_OK, "f real 644 0:0 0.0 100 sparse 0+1 99+1 xy",
			{ { .name = "a",
				.data = "xy",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.map=0,1,99,1,100,0",
					"GNU.sparse.name=real", "path=other" } } } },
		{ "a single hole", OL_OK, "f a 644 0:0 0.0 100 sparse",
			{ { .name = "a",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.numblocks=0" } } } },
		{ "old GNU", OL_OK, "f a 644 0:0 0.0 100 sparse 8+2 xy",
			{ { .name = "a",
				.type = 'S',
				.magic = TAR_MAGIC_GNU,
				.data = "xy",
				.patches = { { 386, "00000000010\00000000000002", 24 },
					{ 410, "00000000144\00000000000000", 24 },
					{ 483, "00000000144" } } } } },
		{ "S in no GNU header", OL_ECORRUPT, "sparse", { { .name = "a", .type = 'S' } } },
		{ "out of order", OL_ECORRUPT, "out of order",
			{ { .name = "a",
				.data = "xy",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.map=50,1,10,1" } } } },
		{ "overlapping", OL_ECORRUPT, "out of order",
			{ { .name = "a",
				.data = "xyz",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.map=0,2,1,1" } } } },
		{ "past the end", OL_ECORRUPT, "past the file's end",
			{ { .name = "a",
				.data = "xy",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.map=99,2" } } } },
		{ "more data than the map has", OL_ECORRUPT, "a sparse map of 1 bytes for 2",
			{ { .name = "a",
				.data = "xy",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.map=0,1" } } } },
		{ "half a pair", OL_ECORRUPT, "pairs",
			{ { .name = "a", .pax = { "GNU.sparse.size=100", "GNU.sparse.map=0" } } } },
		{ "an offset without its size", OL_ECORRUPT, "half a pair",
			{ { .name = "a",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.offset=0" } } } },
		{ "another count", OL_ECORRUPT, "number of pieces",
			{ { .name = "a",
				.data = "x",
				.pax = { "GNU.sparse.size=100", "GNU.sparse.numblocks=2",
					"GNU.sparse.map=0,1" } } } },
		{ "no size", OL_ECORRUPT, "without its size",
			{ { .name = "a", .data = "x", .pax = { "GNU.sparse.map=0,1" } } } },
		{ "of a directory", OL_ECORRUPT, "no file",
			{ { .name = "a", .type = '5', .pax = { "GNU.sparse.size=100" } } } },
		{ "version 2", OL_EUNSUPPORTED, "version",
			{ { .name = "a",
				.pax = { "GNU.sparse.major=2", "GNU.sparse.minor=0",
					"GNU.sparse.realsize=1" } } } },
		{ "map 1.0 of letters", OL_ECORRUPT, "no list of numbers",
			{ { .name = "a",
				.data = "x",
				.data_size = 1,
				.pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0", "size=512",
					"GNU.sparse.realsize=1" } } } },
		{ "map 1.0 longer than its file", OL_ECORRUPT, "longer than its file",
			{ { .name = "a",
				.data = "1\n",
				.pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0",
					"GNU.sparse.realsize=1" } } } },
		{ "in a global header", OL_ECORRUPT, "global",
			{ { .name = "a", .global = { "GNU.sparse.size=1" } } } },
		{ "larger than any file", OL_ECORRUPT, "GNU.sparse.size",
			{ { .name = "a", .pax = { "GNU.sparse.size=17592186044417" } } } },
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Version 1.0 has its map before the data, in blocks of its own. */
static void a_new_sparse_map_comes_with_the_data(void **state)
{
	char data[512 + 2] = "2\n3\n2\n100\n0\n";
	const tar_member members[] = {
		{ .name = "a",
			.data = data,
			.data_size = sizeof data,
			.pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=real",
				"GNU.sparse.realsize=100" } },
		{ .name = "b" },
		{ 0 },
	};
	row r = { "pax 1.0", OL_OK, "f real 644 0:0 0.0 100 sparse 3+2 xy\nf b 644 0:0 0.0 0",
		{ { 0 } } };

	(void)state;
	data[512] = 'x';
	data[513] = 'y';
	memcpy(r.members, members, sizeof members);
	check_row(&r);
}

/* The blocks that continue a map of type S come before its data. */
static void an_old_sparse_map_goes_on_in_more_blocks(void **state)
{
	const tar_member member = { .name = "a",
		.type = 'S',
		.magic = TAR_MAGIC_GNU,
		.no_data = true,
		.patches = { { 124, "00000000002" }, { 386, "00000000010\00000000000001", 24 },
			{ 482, "\1", 1 }, { 483, "00000000144" } } };
	char more[512] = "00000000020\00000000000001", data[512] = "xy", end[1024] = "";
	ol_auto_buf ol_buf tar = OL_BUF(TAR_BYTES_MAX);
	ol_error err = { 0 };
	listing l;

	(void)state;
	tar_add(&tar, &member);
	(void)ol_buf_add(&tar, more, sizeof more);
	(void)ol_buf_add(&tar, data, sizeof data);
	(void)ol_buf_add(&tar, end, sizeof end);
	CHECK_INT("list", OL_OK, list_bytes(ol_buf_view(&tar), 700, &l, &err));
	CHECK_STR("list", "f a 644 0:0 0.0 100 sparse 8+1 16+1 xy", ol_str_text(&l.text));
	ol_buf_done(&l.text);
}

static void names_past_the_bounds_are_refused(void **state)
{
	char component[OL_NAME_MAX + 2], record[OL_PATH_MAX + 300],
		deep[(size_t)2 * OL_PATH_DEPTH_MAX + 8];
	const struct {
		const char *label, *path;
		size_t size;
		int rc;
	} cases[] = {
		{ "255 bytes", component, OL_NAME_MAX, OL_OK },
		{ "256 bytes", component, OL_NAME_MAX + 1, OL_ELIMIT },
		{ "1024 levels", deep, (size_t)2 * OL_PATH_DEPTH_MAX, OL_OK },
		{ "1025 levels", deep, (size_t)2 * OL_PATH_DEPTH_MAX + 2, OL_ELIMIT },
	};

	(void)state;
	memset(component, 'n', sizeof component);
	for (size_t i = 0; i < sizeof deep; i++)
		deep[i] = i % 2 ? '/' : 'd';
	OL_EACH (cases, c) {
		const tar_member members[] = { { .name = "a", .pax = { record } }, { 0 } };
		ol_error err = { 0 };
		ol_buf tar;
		listing l;

		(void)snprintf(record, sizeof record, "path=%.*s", (int)c->size, c->path);
		tar = tar_build(members);
		CHECK_INT(c->label, c->rc, list_bytes(ol_buf_view(&tar), 4096, &l, &err));
		ol_buf_done(&l.text);
		ol_buf_done(&tar);
	}
}

static void xattrs_past_the_bound_are_refused(void **state)
{
	char *record = ol_alloc(OL_XATTRS_BYTES_MAX + 100);
	const tar_member members[] = { { .name = "a", .pax = { record } }, { 0 } };
	const size_t head = strlen("SCHILY.xattr.user.a=");

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		size_t value = OL_XATTRS_BYTES_MAX - strlen("user.a") + over;
		ol_error err = { 0 };
		ol_buf tar;
		listing l;

		(void)snprintf(record, head + 1, "SCHILY.xattr.user.a=");
		memset(record + head, 'v', value);
		record[head + value] = '\0';
		tar = tar_build(members);
		CHECK_INT("rc", over ? OL_ELIMIT : OL_OK,
			list_bytes(ol_buf_view(&tar), 4096, &l, &err));
		ol_buf_done(&l.text);
		ol_buf_done(&tar);
	}
	free(record);
}

static void the_end_is_where_two_zero_blocks_are(void **state)
{
	static const tar_member members[] = { { .name = "a", .data = "xyz" }, { 0 } };
	const struct {
		const char *label;
		size_t size;       /* of the tar that is taken */
		const char *after; /* a block that follows */
		int rc;
	} cases[] = {
		{ "both", 2048, NULL, OL_OK },
		{ "one", 1536, NULL, OL_OK },
		{ "none", 1024, NULL, OL_OK },
		{ "anything may follow both", 2048, "junk", OL_OK },
		{ "but not one", 1536, "junk", OL_ECORRUPT },
		{ "half a header", 700, NULL, OL_ECORRUPT },
		{ "half its padding", 1000, NULL, OL_ECORRUPT },
		{ "no data", 512, NULL, OL_ECORRUPT },
		{ "nothing", 0, NULL, OL_OK },
	};
	ol_auto_buf ol_buf tar = tar_build(members);

	(void)state;
	OL_EACH (cases, c) {
		ol_auto_buf ol_buf bytes = OL_BUF(8192);
		ol_error err = { 0 };
		char block[512] = "";
		listing l;

		(void)ol_buf_add(&bytes, tar.data, c->size);
		if (c->after) {
			memcpy(block, c->after, strlen(c->after));
			(void)ol_buf_add(&bytes, block, sizeof block);
		}
		CHECK_INT(c->label, c->rc, list_bytes(ol_buf_view(&bytes), 100, &l, &err));
		ol_buf_done(&l.text);
	}
}

static void a_refusal_says_where_and_stays(void **state)
{
	static const tar_member members[] = { { .name = "good", .data = "x" },
		{ .name = "bad\n", .mode = 0, .patches = { { 108, "zzz" } } }, { 0 } };
	ol_auto_buf ol_buf tar = tar_build(members);
	listing l = { .text = OL_STR(4096) };
	const ol_tar_handler handler = { on_entry, on_data, &l };
	ol_auto(ol_tar_free) ol_tar *reader = ol_tar_new(&handler);
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("push", OL_ECORRUPT, ol_tar_push(reader, tar.data, tar.size, &err));
	CHECK_STR("words", "layer tar, byte 1024, bad\\x0a: the uid is no number", err.text);
	CHECK_INT("again", OL_ECORRUPT, ol_tar_push(reader, tar.data, 512, NULL));
	CHECK_INT("finish", OL_ECORRUPT, ol_tar_finish(reader, NULL));
	ol_buf_done(&l.text);
}

static int refuse_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	(void)ctx;
	(void)entry;
	return ol_fail(err, OL_EBUSY, "not now");
}

static void a_handlers_refusal_is_passed_on(void **state)
{
	static const tar_member members[] = { { .name = "a" }, { 0 } };
	const ol_tar_handler handler = { .entry = refuse_entry };
	ol_auto(ol_tar_free) ol_tar *reader = ol_tar_new(&handler);
	ol_auto_buf ol_buf tar = tar_build(members);
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("push", OL_EBUSY, ol_tar_push(reader, tar.data, tar.size, &err));
	CHECK_STR("words", "not now", err.text);
}

static const unsigned char *pushed;

static int expect_pushed(void *ctx, uint64_t offset, const void *data, size_t size, ol_error *err)
{
	(void)ctx;
	(void)err;
	assert_int_equal(size, 3);
	assert_ptr_equal(data, pushed + 512 + offset);
	return OL_OK;
}

static int take_entry(void *ctx, const ol_tar_entry *entry, ol_error *err)
{
	(void)ctx;
	(void)entry;
	(void)err;
	return OL_OK;
}

static void data_are_not_copied(void **state)
{
	static const tar_member members[] = { { .name = "a", .data = "xyz" }, { 0 } };
	const ol_tar_handler handler = { .entry = take_entry, .data = expect_pushed };
	ol_auto(ol_tar_free) ol_tar *reader = ol_tar_new(&handler);
	ol_auto_buf ol_buf tar = tar_build(members);

	(void)state;
	pushed = (const unsigned char *)tar.data;
	CHECK_INT("push", OL_OK, ol_tar_push(reader, tar.data, tar.size, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_of_member_comes_out),
		cmocka_unit_test(names_come_out_clean),
		cmocka_unit_test(whiteouts_are_told_apart),
		cmocka_unit_test(numbers_are_octal_or_base_256),
		cmocka_unit_test(pax_records_are_kept_to_the_letter),
		cmocka_unit_test(pax_records_that_break_the_grammar_are_refused),
		cmocka_unit_test(sparse_files_have_their_map),
		cmocka_unit_test(a_new_sparse_map_comes_with_the_data),
		cmocka_unit_test(an_old_sparse_map_goes_on_in_more_blocks),
		cmocka_unit_test(names_past_the_bounds_are_refused),
		cmocka_unit_test(xattrs_past_the_bound_are_refused),
		cmocka_unit_test(the_end_is_where_two_zero_blocks_are),
		cmocka_unit_test(a_refusal_says_where_and_stays),
		cmocka_unit_test(a_handlers_refusal_is_passed_on),
		cmocka_unit_test(data_are_not_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
