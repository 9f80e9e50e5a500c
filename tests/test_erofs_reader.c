#include <stdlib.h>

#include "base/alloc.h"
#include "snapshot/erofs_format.h"
#include "tests/erofs_box.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const ol_sparse pieces[] = { { 4096, 4096 } };
static const ol_xattr xattrs[] = { { { "user.a", 6 }, { "value", 5 } } };
static const ol_tar_entry entries[] = {
	{ .type = OL_TAR_DIR, .name = "", .mode = 0755 },
	{ .type = OL_TAR_DIR, .name = "d", .mode = 0755, .xattrs = xattrs, .xattr_count = 1 },
	{ .type = OL_TAR_FILE, .name = "d/f", .size = 20000, .sparse = pieces, .sparse_count = 1 },
	{ .type = OL_TAR_FILE, .name = "g", .size = 20000 },
	{ .type = OL_TAR_SYMLINK, .name = "l", .target = "d/f" },
};

/* A sound index in memory, to be damaged. */
static unsigned char *sound_index(size_t *size)
{
	erofs_box box = box_write(entries, COUNT(entries), BOX_BUDGET);
	unsigned char *bytes = ol_alloc(box.written.bytes);

	assert_int_equal(OL_OK, box.rc);
	assert_int_equal(box.written.bytes, pread(box.fd, bytes, box.written.bytes, 0));
	*size = box.written.bytes;
	box_done(&box);
	return bytes;
}

static int ask_everything(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	char target[OL_PATH_MAX + 1];
	ol_erofs_extent extent;
	ol_xattr *found;
	size_t count;
	int rc = ol_erofs_xattrs(ctx, &visit->inode, arena, &found, &count, err);

	if (rc < 0)
		return rc;
	rc = ol_erofs_readlink(ctx, &visit->inode, target, err);
	if (rc < 0 && rc != OL_EINVAL)
		return rc;
	for (uint64_t at = 0; at < visit->inode.size; at += extent.size) {
		rc = ol_erofs_extent_at(ctx, &visit->inode, at, &extent, err);
		if (rc < 0)
			return rc == OL_EINVAL ? OL_OK : rc;
		assert_true(extent.size > 0);
	}
	return OL_OK;
}

static int read_all(const unsigned char *bytes, size_t size)
{
	ol_auto(ol_erofs_close) ol_erofs *erofs = NULL;
	ol_error err = { 0 };
	int rc = ol_erofs_open(ol_source_of_memory(bytes, size), &erofs, &err);

	return rc < 0 ? rc : ol_erofs_walk(erofs, ask_everything, erofs, &err);
}

static uint64_t node_of(const unsigned char *bytes, size_t size, const char *path)
{
	ol_auto(ol_erofs_close) ol_erofs *erofs = NULL;
	ol_erofs_inode inode;

	assert_int_equal(OL_OK, ol_erofs_open(ol_source_of_memory(bytes, size), &erofs, NULL));
	assert_int_equal(OL_OK, ol_erofs_find(erofs, path, &inode, NULL));
	return inode.node * OL_EROFS_NODE_BYTES;
}

#define SUPER(f) offsetof(struct ol_erofs_super, f)
#define INODE(f) offsetof(struct ol_erofs_inode_disk, f)

static void damage_is_told(void **state)
{
	/* path NULL: in the superblock; else in the inode, or behind it. */
	static const struct {
		const char *label, *path;
		size_t at, size;
		uint64_t value;
		int rc;
	} rows[] = {
		{ "nothing", NULL, SUPER(volume), 1, 0, OL_OK },
		{ "magic", NULL, SUPER(magic), 4, 1, OL_ECORRUPT },
		{ "blocks of 4096", NULL, SUPER(block_bits), 1, 12, OL_EUNSUPPORTED },
		{ "unknown feature", NULL, SUPER(incompat), 4, 0x10, OL_EUNSUPPORTED },
		{ "devices past the end", NULL, SUPER(device_slot), 2, 65535, OL_ECORRUPT },
		{ "too many devices", NULL, SUPER(devices), 2, 65535, OL_ECORRUPT },
		{ "fewer devices than are used", NULL, SUPER(devices), 2, 0, OL_ECORRUPT },
		{ "root outside", NULL, SUPER(root_node), 2, 65535, OL_ECORRUPT },
		{ "root that is a file", "", INODE(mode), 2, 0100644, OL_ECORRUPT },
		{ "compact inode", "g", INODE(format), 2, 8, OL_ECORRUPT },
		{ "compressed inode", "g", INODE(format), 2, 3, OL_ECORRUPT },
		{ "no such type", "g", INODE(mode), 2, 0140644, OL_ECORRUPT },
		{ "xattrs past the end", "g", INODE(xattr_count), 2, 65535, OL_ECORRUPT },
		{ "negative size", "g", INODE(size), 8, UINT64_MAX, OL_ECORRUPT },
		{ "more chunks than fit", "d/f", INODE(size), 8, (uint64_t)1 << 30, OL_ECORRUPT },
		{ "chunks without indexes", "g", INODE(u), 4, 3, OL_ECORRUPT },
		{ "device 9", "g", 64 + 2, 2, 9, OL_ECORRUPT },
		{ "far outside the tar", "g", 64 + 4, 4, 0xfffffff0, OL_ECORRUPT },
		{ "directory outside", "d", INODE(u), 4, 0xffffff, OL_ECORRUPT },
		{ "directory of 5 bytes", "d", INODE(size), 8, 5, OL_ECORRUPT },
		{ "inline directory", "d", INODE(format), 2, 5, OL_EUNSUPPORTED },
		{ "empty link", "l", INODE(size), 8, 0, OL_ECORRUPT },
		{ "link with a NUL", "l", 64, 1, 0, OL_ECORRUPT },
		{ "shared xattrs", "d", 64 + 4, 1, 1, OL_EUNSUPPORTED },
		{ "xattr without a prefix", "d", 64 + 12 + 1, 1, 77, OL_ECORRUPT },
		{ "xattr longer than all", "d", 64 + 12 + 2, 2, 60000, OL_ECORRUPT },
	};
	size_t size;
	ol_autofree unsigned char *sound = sound_index(&size);

	(void)state;
	OL_EACH (rows, row) {
		ol_autofree unsigned char *bytes = ol_memdup(sound, size);
		uint64_t at = row->path ? node_of(sound, size, row->path) : OL_EROFS_SUPER_AT;
		uint64_t value = row->value;

		for (size_t i = 0; i < row->size; i++, value >>= 8)
			bytes[at + row->at + i] = (unsigned char)value;
		CHECK_INT(row->label, row->rc, read_all(bytes, size));
	}
}

/* Neither a cut nor a changed byte anywhere leads outside (the sanitizers judge) or round in
 * circles. */
static void no_damage_does_harm(void **state)
{
	size_t size;
	ol_autofree unsigned char *bytes = sound_index(&size);

	(void)state;
	for (size_t i = 0; i < size; i += i < 1024 ? 512 : 1) {
		unsigned char kept = bytes[i];

		/* The last block ends in zeros that nobody asks for. */
		if (i + OL_EROFS_BLOCK < size)
			assert_true(read_all(bytes, i) < 0);
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[i] = (unsigned char)(kept ^ 1U << bit);
			(void)read_all(bytes, size);
		}
		bytes[i] = kept;
	}
	CHECK_INT("sound again", OL_OK, read_all(bytes, size));
}

/* The root's first entry is made to name the root. */
static void directories_that_hold_each_other_end(void **state)
{
	size_t size;
	ol_autofree unsigned char *bytes = sound_index(&size);
	uint64_t root = node_of(bytes, size, "");
	uint64_t data = (uint64_t)ol_get32(bytes + root + INODE(u)) * OL_EROFS_BLOCK;

	(void)state;
	/* ".", "..", "d": the third. */
	ol_put64(bytes + data + 2 * sizeof(struct ol_erofs_dirent), root / OL_EROFS_NODE_BYTES);
	CHECK_INT("walk", OL_ECORRUPT, read_all(bytes, size));
}

static int refuse(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	int *visits = ctx;

	(void)visit;
	return ++*visits == 2 ? ol_fail(err, OL_ECANCELED, "enough") : OL_OK;
}

static void a_callers_refusal_ends_the_walk(void **state)
{
	ol_auto(ol_erofs_close) ol_erofs *erofs = NULL;
	size_t size;
	ol_autofree unsigned char *bytes = sound_index(&size);
	int visits = 0;

	(void)state;
	assert_int_equal(OL_OK, ol_erofs_open(ol_source_of_memory(bytes, size), &erofs, NULL));
	CHECK_INT("rc", OL_ECANCELED, ol_erofs_walk(erofs, refuse, &visits, NULL));
	CHECK_INT("visits", 2, visits);
}

static void devices_are_remembered(void **state)
{
	const ol_digest one = ol_digest_of(OL_SHA256, "1", 1),
			two = ol_digest_of(OL_SHA512, "2", 1);
	const ol_erofs_device devices[] = { { .bytes = 513 }, { 512, one }, { 1 << 20, two } };
	erofs_box box = box_write(NULL, 0, BOX_BUDGET);
	const ol_erofs_writer_options options = { .index_fd = box.fd, .temp_fd = box.fd };
	ol_auto(ol_erofs_writer_free) ol_erofs_writer *writer = ol_erofs_writer_new(&options);
	ol_auto(ol_erofs_close) ol_erofs *erofs = NULL;
	ol_digest found;

	(void)state;
	assert_int_equal(0, ftruncate(box.fd, 0));
	assert_int_equal(
		OL_OK, ol_erofs_writer_finish(writer, devices, COUNT(devices), &box.written, NULL));
	erofs = box_open(&box);
	CHECK_INT("count", COUNT(devices), ol_erofs_device_count(erofs));
	found = ol_erofs_device_digest(erofs, 1);
	CHECK_INT("own", false, ol_digest_is_set(&found));
	CHECK_INT("bytes", 1024, (long long)ol_erofs_device_bytes(erofs, 1));
	found = ol_erofs_device_digest(erofs, 2);
	assert_true(ol_digest_eq(&one, &found));
	found = ol_erofs_device_digest(erofs, 3);
	assert_true(ol_digest_eq(&two, &found));
	CHECK_INT("none", 0, (long long)ol_erofs_device_bytes(erofs, 4));
	box_done(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_is_told),
		cmocka_unit_test(no_damage_does_harm),
		cmocka_unit_test(directories_that_hold_each_other_end),
		cmocka_unit_test(a_callers_refusal_ends_the_walk),
		cmocka_unit_test(devices_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
