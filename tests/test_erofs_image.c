#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"
#include "snapshot/erofs_format.h"
#include "snapshot/erofs_image.h"
#include "tests/check.h"

#define BLOCK 4096

struct sink {
	ol_sink sink;
	ol_buf bytes;
};

static int sink_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	(void)err;
	return ol_buf_add(&((struct sink *)sink)->bytes, data, size);
}

static struct sink sink_new(void)
{
	static const ol_sink_ops ops = { sink_write, NULL };

	return (struct sink){ .sink = { &ops }, .bytes = OL_BUF((size_t)64 << 20) };
}

static int add(ol_erofs_image *image, ol_tar_entry entry, uint64_t sequence, uint64_t target)
{
	entry.sequence = sequence;
	if (!entry.target)
		entry.target = "";
	return ol_erofs_image_add(image, &entry, target, NULL);
}

#define DIR(n)      ((ol_tar_entry){ .type = OL_TAR_DIR, .name = (n), .mode = 0755 })
#define FILE_(n, s) ((ol_tar_entry){ .name = (n), .mode = 0644, .size = (s), .data_size = (s) })
#define LINK(n)     ((ol_tar_entry){ .type = OL_TAR_HARDLINK, .name = (n), .target = "x" })

static const uint8_t *node_at(const ol_buf *bytes, uint64_t node)
{
	return (const uint8_t *)bytes->data + node * OL_EROFS_NODE_BYTES;
}

/* The node that a folder of one block has under a name; 0: none. */
static uint64_t lookup(const ol_buf *bytes, uint64_t folder, const char *name)
{
	const struct ol_erofs_inode_disk *dir = (const void *)node_at(bytes, folder);
	const char *block = bytes->data + (uint64_t)ol_get32(dir->u) * BLOCK;
	const struct ol_erofs_dirent *entries = (const void *)block;
	size_t count = ol_get16(entries->name_at) / sizeof *entries;
	size_t size = (size_t)ol_get64(dir->size);

	for (size_t i = 0; i < count; i++) {
		size_t from = ol_get16(entries[i].name_at);
		size_t to = i + 1 < count ? ol_get16(entries[i + 1].name_at) : size;

		if (to - from == strlen(name) && memcmp(block + from, name, to - from) == 0)
			return ol_get64(entries[i].node);
	}
	return 0;
}

/* Small enough to be looked at by hand; the end-to-end tests mount larger ones. */
static void an_image_holds_what_was_added(void **state)
{
	ol_auto(ol_erofs_image_free) ol_erofs_image *image = ol_erofs_image_new();
	struct sink sink = sink_new();
	const uint8_t *super;
	const struct ol_erofs_inode_disk *inode;
	uint64_t root, file;
	size_t count;

	(void)state;
	CHECK_INT("root", OL_OK, add(image, DIR(""), 0, 0));
	CHECK_INT("dir", OL_OK, add(image, DIR("a"), 1, 0));
	CHECK_INT("file", OL_OK, add(image, FILE_("a/f", 5), 2, 0));
	CHECK_INT("link", OL_OK, add(image, LINK("b"), 3, 2));
	CHECK_INT("empty", OL_OK, add(image, FILE_("c", 0), 4, 0));
	CHECK_INT("begin", OL_OK, ol_erofs_image_begin(image, &sink.sink, NULL));
	assert_null(ol_erofs_image_parts(image, 4, &count));
	CHECK_INT("parts of nothing", 0, (long long)count);
	assert_int_equal(ol_erofs_image_parts(image, 2, &count)->size, 5);
	CHECK_INT("data", OL_OK, ol_erofs_image_data(image, "hello", 5, NULL));
	CHECK_INT("end", OL_OK, ol_erofs_image_end_file(image, 2, NULL));
	CHECK_INT("end", OL_OK, ol_erofs_image_end_file(image, 4, NULL));
	CHECK_INT("finish", OL_OK, ol_erofs_image_finish(image, NULL));

	CHECK_INT("whole blocks", 0, (long long)(sink.bytes.size % BLOCK));
	super = (const uint8_t *)sink.bytes.data + OL_EROFS_SUPER_AT;
	CHECK_INT("magic", OL_EROFS_MAGIC, ol_get32(super));
	CHECK_INT("block bits", 12, super[12]);
	root = ol_get16(super + 14);
	inode = (const void *)node_at(&sink.bytes, root);
	CHECK_INT("root", S_IFDIR | 0755, ol_get16(inode->mode));
	CHECK_INT("root's links", 3, ol_get32(inode->nlink));
	assert_int_equal(lookup(&sink.bytes, root, "."), root);
	file = lookup(&sink.bytes, root, "b");
	assert_int_equal(lookup(&sink.bytes, lookup(&sink.bytes, root, "a"), "f"), file);
	assert_int_equal(lookup(&sink.bytes, lookup(&sink.bytes, root, "a"), ".."), root);
	inode = (const void *)node_at(&sink.bytes, file);
	CHECK_INT("links", 2, ol_get32(inode->nlink));
	CHECK_INT("size", 5, (long long)ol_get64(inode->size));
	assert_memory_equal(sink.bytes.data + (uint64_t)ol_get32(inode->u) * BLOCK, "hello", 5);
	ol_buf_done(&sink.bytes);
}

/* What lies in a chunk with data is data; the others take no room. */
static void holes_take_no_room(void **state)
{
	static const ol_sparse pieces[] = { { 10, 20 }, { 5000, 1 }, { 1 << 20, 100 } };
	ol_tar_entry sparse = { .name = "s",
		.size = (1 << 20) + 100,
		.data_size = 121,
		.sparse = pieces,
		.sparse_count = 3 };
	ol_auto(ol_erofs_image_free) ol_erofs_image *image = ol_erofs_image_new();
	struct sink sink = sink_new();
	static const char data[2 * BLOCK + 100];
	const ol_sparse *parts;
	size_t count;

	(void)state;
	CHECK_INT("root", OL_OK, add(image, DIR(""), 0, 0));
	CHECK_INT("sparse", OL_OK, add(image, sparse, 1, 0));
	CHECK_INT("begin", OL_OK, ol_erofs_image_begin(image, &sink.sink, NULL));
	parts = ol_erofs_image_parts(image, 1, &count);
	CHECK_INT("parts", 2, (long long)count);
	CHECK_INT("first", 0, (long long)parts[0].offset);
	CHECK_INT("first", 2LL * BLOCK, (long long)parts[0].size);
	CHECK_INT("second", 1 << 20, (long long)parts[1].offset);
	CHECK_INT("second", 100, (long long)parts[1].size);
	CHECK_INT("data", OL_OK, ol_erofs_image_data(image, data, sizeof data, NULL));
	CHECK_INT("end", OL_OK, ol_erofs_image_end_file(image, 1, NULL));
	CHECK_INT("finish", OL_OK, ol_erofs_image_finish(image, NULL));
	/* Superblock and inodes, the root's names, three blocks of data. */
	assert_true(sink.bytes.size <= (size_t)6 * BLOCK);
	ol_buf_done(&sink.bytes);
}

/* More names than a block holds: each is found where halving looks for it. */
static void a_large_folder_has_all_its_names(void **state)
{
	ol_auto(ol_erofs_image_free) ol_erofs_image *image = ol_erofs_image_new();
	struct sink sink = sink_new();
	const struct ol_erofs_inode_disk *root;
	unsigned found = 0;
	uint64_t blocks;

	(void)state;
	CHECK_INT("root", OL_OK, add(image, DIR(""), 0, 0));
	for (unsigned i = 0; i < 1000; i++) {
		ol_autofree char *name = ol_text("%c-name-%06u", i < 500 ? '+' : 'z', i);

		CHECK_INT(name, OL_OK, add(image, FILE_(name, 0), i + 1, 0));
	}
	CHECK_INT("begin", OL_OK, ol_erofs_image_begin(image, &sink.sink, NULL));
	CHECK_INT("finish", OL_OK, ol_erofs_image_finish(image, NULL));
	root = (const void *)node_at(
		&sink.bytes, ol_get16((const uint8_t *)sink.bytes.data + OL_EROFS_SUPER_AT + 14));
	blocks = (ol_get64(root->size) + BLOCK - 1) / BLOCK;
	assert_true(blocks > 1);
	for (uint64_t i = 0; i < blocks; i++) {
		const struct ol_erofs_dirent *entries =
			(const void *)(sink.bytes.data + (ol_get32(root->u) + i) * BLOCK);

		found += ol_get16(entries->name_at) / (unsigned)sizeof *entries;
	}
	CHECK_INT("names", 1002, found);
	ol_buf_done(&sink.bytes);
}

static void what_comes_out_of_turn_is_refused(void **state)
{
	static const ol_xattr strange = { { "strange.x", 9 }, { "y", 1 } };
	ol_auto(ol_erofs_image_free) ol_erofs_image *image = ol_erofs_image_new();
	struct sink sink = sink_new();
	ol_tar_entry with_xattr = FILE_("d", 0),
		     whiteout = { .type = OL_TAR_WHITEOUT, .name = "d" };

	(void)state;
	with_xattr.xattrs = &strange;
	with_xattr.xattr_count = 1;
	CHECK_INT("no root", OL_EINVAL, ol_erofs_image_begin(image, &sink.sink, NULL));
	CHECK_INT("not the root first", OL_EINVAL, add(image, DIR("a"), 0, 0));
	CHECK_INT("a root that is a file", OL_EINVAL, add(image, FILE_("", 0), 0, 0));
	CHECK_INT("root", OL_OK, add(image, DIR(""), 0, 0));
	CHECK_INT("root again", OL_EINVAL, add(image, DIR(""), 1, 0));
	CHECK_INT("a sequence left out", OL_EINVAL, add(image, DIR("a"), 2, 0));
	CHECK_INT("a", OL_OK, add(image, DIR("a"), 1, 0));
	CHECK_INT("a link to a folder", OL_EINVAL, add(image, LINK("b"), 2, 1));
	CHECK_INT("a link to what is to come", OL_EINVAL, add(image, LINK("b"), 2, 2));
	CHECK_INT("a whiteout", OL_EINVAL, add(image, whiteout, 2, 0));
	CHECK_INT("an xattr of no kind", OL_EUNSUPPORTED, add(image, with_xattr, 2, 0));
	ol_buf_done(&sink.bytes);
}

static void names_come_in_their_order(void **state)
{
	static const struct {
		const char *label, *first, *second;
		int rc;
	} cases[] = {
		{ "in order", "a", "b", OL_OK },
		{ "out of order", "b", "a", OL_EINVAL },
		{ "twice", "a", "a", OL_EINVAL },
		{ "before its folder", "a", "b/c", OL_EINVAL },
		{ "below a file", "a", "a/c", OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_erofs_image_free) ol_erofs_image *image = ol_erofs_image_new();

		CHECK_INT(c->label, OL_OK, add(image, DIR(""), 0, 0));
		CHECK_INT(c->label, OL_OK, add(image, FILE_(c->first, 0), 1, 0));
		CHECK_INT(c->label, c->rc, add(image, FILE_(c->second, 0), 2, 0));
	}
}

static void data_are_what_was_said(void **state)
{
	ol_auto(ol_erofs_image_free) ol_erofs_image *image = ol_erofs_image_new();
	struct sink sink = sink_new();

	(void)state;
	CHECK_INT("root", OL_OK, add(image, DIR(""), 0, 0));
	CHECK_INT("f", OL_OK, add(image, FILE_("f", 5), 1, 0));
	CHECK_INT("begin", OL_OK, ol_erofs_image_begin(image, &sink.sink, NULL));
	CHECK_INT("the end too early", OL_EINVAL, ol_erofs_image_finish(image, NULL));
	CHECK_INT("data", OL_OK, ol_erofs_image_data(image, "hell", 4, NULL));
	CHECK_INT("too little", OL_EINVAL, ol_erofs_image_end_file(image, 1, NULL));
	CHECK_INT("data", OL_OK, ol_erofs_image_data(image, "oo", 2, NULL));
	CHECK_INT("too much", OL_EINVAL, ol_erofs_image_end_file(image, 1, NULL));
	ol_buf_done(&sink.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_image_holds_what_was_added),
		cmocka_unit_test(holes_take_no_room),
		cmocka_unit_test(a_large_folder_has_all_its_names),
		cmocka_unit_test(what_comes_out_of_turn_is_refused),
		cmocka_unit_test(names_come_in_their_order),
		cmocka_unit_test(data_are_what_was_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
