/* A payload and the layer it turns out to be: two tars of one tree stand for both. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "image/lazy_settle_priv.h"
#include "snapshot/driver.h"
#include "tests/check.h"
#include "tests/tar_builder.h"

struct layer {
	ol_buf tar;
	int index_fd, tar_fd;
	ol_erofs *index;
};

static int memory_file(const void *data, size_t size)
{
	const int fd = memfd_create("layer", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(OL_OK, ol_pwrite_all(fd, data, size, 0, NULL));
	return fd;
}

static void layer_make(const tar_member *members, struct layer *out)
{
	const ol_driver *driver = ol_driver_named("erofs");
	char dir[] = "/tmp/orlop-settle-XXXXXX";
	ol_builder_options options = { 0 };
	ol_builder *builder = NULL;
	struct stat st;
	ol_built built;
	ol_error err = { 0 };

	assert_non_null(mkdtemp(dir));
	CHECK_INT(err.text, OL_OK, ol_dir_open(AT_FDCWD, dir, &options.dir_fd, &err));
	out->tar = tar_build(members);
	out->tar_fd = memory_file(out->tar.data, out->tar.size);
	CHECK_INT(err.text, OL_OK, driver->begin(&options, &builder, &err));
	CHECK_INT(err.text, OL_OK, driver->push(builder, out->tar.data, out->tar.size, &err));
	CHECK_INT(err.text, OL_OK, driver->finish(builder, &built, &err));
	driver->free(builder);
	CHECK_STR("driver", "erofs", built.driver);
	out->index_fd = openat(options.dir_fd, "index.erofs", O_RDONLY | O_CLOEXEC);
	assert_int_equal(0, fstat(out->index_fd, &st));
	CHECK_INT("open", OL_OK,
		ol_erofs_open(
			ol_source_of_fd(out->index_fd, (uint64_t)st.st_size), &out->index, &err));
	(void)close(options.dir_fd);
	CHECK_INT("clean", OL_OK, ol_remove_tree(AT_FDCWD, dir, NULL));
}

static void layer_done(struct layer *layer)
{
	ol_erofs_close(layer->index);
	(void)close(layer->tar_fd);
	ol_buf_done(&layer->tar);
}

#define DIR           "d", .type = '5', .mode = 0755
#define FILE_OF(text) "d/f", .data = (text), .mtime = 7

/* What a table of contents may not carry is passed over, all else is a lie that names its path. */
static void trees_are_compared(void **state)
{
	static const struct {
		const char *label;
		tar_member lazy[5], real[5];
		bool packed;
		int rc;
		const char *words;
	} cases[] = {
		{ "same", { { DIR }, { FILE_OF("text") } }, { { DIR }, { FILE_OF("text") } }, true,
			OL_OK, "" },
		{ "other order", { { DIR }, { "e", .data = "1" }, { FILE_OF("text") } },
			{ { DIR }, { FILE_OF("text") }, { "e", .data = "1" } }, true, OL_OK, "" },
		{ "size", { { DIR }, { FILE_OF("text") } }, { { DIR }, { FILE_OF("texts") } }, true,
			OL_ECORRUPT, "/d/f has another size" },
		{ "mode", { { DIR }, { "d/f", .mode = 0600 } },
			{ { DIR }, { "d/f", .mode = 0640 } }, true, OL_ECORRUPT,
			"/d/f has another mode" },
		{ "setuid", { { "f", .mode = 0755 } }, { { "f", .mode = 04755 } }, true,
			OL_ECORRUPT, "mode" },
		{ "type", { { "f", .mode = 0644 } }, { { "f", .type = '6', .mode = 0644 } }, true,
			OL_ECORRUPT, "mode" },
		{ "owner", { { "f", .uid = 1 } }, { { "f", .uid = 2 } }, true, OL_ECORRUPT,
			"owner" },
		{ "time", { { "f", .mtime = 1 } }, { { "f", .mtime = 2 } }, true, OL_ECORRUPT,
			"time" },
		{ "fraction", { { "f", .mtime = 1 } }, { { "f", .pax = { "mtime=1.5" } } }, true,
			OL_OK, "" },
		{ "fraction of a tar", { { "f", .mtime = 1 } }, { { "f", .pax = { "mtime=1.5" } } },
			false, OL_ECORRUPT, "time" },
		{ "target", { { "l", .type = '2', .link = "a" } },
			{ { "l", .type = '2', .link = "b" } }, true, OL_ECORRUPT, "target" },
		{ "missing", { { DIR } }, { { DIR }, { FILE_OF("text") } }, true, OL_ECORRUPT,
			"/d/f is in the layer" },
		{ "more", { { DIR }, { FILE_OF("text") } }, { { DIR } }, true, OL_ECORRUPT,
			"/d/f is not in the layer" },
		{ "xattr", { { "f", .pax = { "SCHILY.xattr.user.a=1" } } },
			{ { "f", .pax = { "SCHILY.xattr.user.a=2" } } }, true, OL_ECORRUPT,
			"extended attribute" },
		{ "xattr of ours", { { "f", .pax = { "SCHILY.xattr.user.a=1" } } },
			{ { "f", .mtime = 0 } }, true, OL_ECORRUPT, "extended attribute" },
		{ "xattr of theirs", { { "f", .mtime = 0 } },
			{ { "f", .pax = { "SCHILY.xattr.user.a=1" } } }, true, OL_ECORRUPT,
			"extended attribute" },
		{ "an empty one", { { "f", .mtime = 0 } },
			{ { "f", .pax = { "SCHILY.xattr.user.a=" } } }, true, OL_OK, "" },
		{ "hard links", { { "f", .data = "x" }, { "g", .type = '1', .link = "f" } },
			{ { "f", .data = "x" }, { "g", .type = '1', .link = "f" } }, true, OL_OK,
			"" },
		{ "links that are files",
			{ { "f", .data = "x" }, { "g", .type = '1', .link = "f" } },
			{ { "f", .data = "x" }, { "g", .data = "x" } }, true, OL_ECORRUPT,
			"links" },
		{ "device", { { "n", .type = '3', .major = 1, .minor = 3 } },
			{ { "n", .type = '3', .major = 1, .minor = 5 } }, true, OL_ECORRUPT,
			"device" },
	};

	(void)state;
	OL_EACH (cases, c) {
		struct layer lazy, real;
		ol_settle_map map = { 0 };
		ol_error err = { 0 };

		layer_make(c->lazy, &lazy);
		layer_make(c->real, &real);
		CHECK_INT(c->label, c->rc,
			ol_lazy_compare(lazy.index, real.index, c->packed, &map, &err));
		if (!strstr(err.text, c->words))
			CHECK_STR(c->label, c->words, err.text);
		ol_settle_map_done(&map);
		layer_done(&lazy);
		layer_done(&real);
	}
}

static void fill_text(char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		text[i] = (char)(i * 31 % 251);
	text[size] = '\0';
}

/* A payload of which every second block is there. */
struct payload {
	int run_fd, fd;
	char dir[32];
	ol_lazy_state *state;
};

static void payload_make(const struct layer *lazy, uint64_t size, struct payload *out)
{
	const ol_digest diff_id = ol_digest_of(OL_SHA256, "x", 1);
	bool fresh = false;

	(void)snprintf(out->dir, sizeof out->dir, "/tmp/orlop-settle-XXXXXX");
	assert_non_null(mkdtemp(out->dir));
	CHECK_INT("dir", OL_OK, ol_dir_open(AT_FDCWD, out->dir, &out->run_fd, NULL));
	CHECK_INT("state", OL_OK,
		ol_lazy_state_open(out->run_fd, &diff_id, size, "boot", &fresh, &out->state, NULL));
	out->fd = memfd_create("payload", MFD_CLOEXEC);
	assert_int_equal(0, ftruncate(out->fd, (off_t)size));
	for (uint64_t at = 0; at + OL_LAZY_BLOCK <= size; at += (uint64_t)2 * OL_LAZY_BLOCK) {
		CHECK_INT("write", OL_OK,
			ol_pwrite_all(out->fd, lazy->tar.data + at, OL_LAZY_BLOCK, at, NULL));
		ol_lazy_state_add(out->state, at, at + OL_LAZY_BLOCK);
	}
}

static void payload_done(struct payload *payload)
{
	ol_lazy_state_close(payload->state);
	(void)close(payload->fd);
	(void)close(payload->run_fd);
	CHECK_INT("clean", OL_OK, ol_remove_tree(AT_FDCWD, payload->dir, NULL));
}

static void check_runs(const ol_settle_map *map, const struct payload *payload,
	const struct layer *real, size_t want)
{
	size_t bytes = 0;

	for (size_t i = 0; i < map->count; i++) {
		const ol_settle_run *run = &map->runs[i];
		ol_autofree char *got = malloc(run->size);

		CHECK_INT("read", OL_OK,
			ol_pread_all(payload->fd, got, run->size, run->payload, NULL));
		assert_memory_equal(got, real->tar.data + run->tar, run->size);
		bytes += run->size;
	}
	assert_true(bytes >= want); /* whole blocks of 512 */
}

static void what_lacks_is_copied_and_what_is_there_compared(void **state)
{
	enum { A = 1300000, B = 70001 };
	static char a[A + 1], b[B + 1];
	const tar_member lazy_members[] = { { "a", .data = a, .data_size = A },
		{ "b", .data = b, .data_size = B }, { 0 } };
	const tar_member real_members[] = { { "b", .data = b, .data_size = B,
						    .pax = { "comment=elsewhere" } },
		{ "a", .data = a, .data_size = A }, { 0 } };
	struct layer lazy, real;
	struct payload payload;
	ol_lazy_settle settle;
	ol_error err = { 0 };
	unsigned char byte = 0xff;
	uint64_t size;

	(void)state;
	fill_text(a, A);
	fill_text(b, B);
	layer_make(lazy_members, &lazy);
	layer_make(real_members, &real);
	size = lazy.tar.size;
	payload_make(&lazy, size, &payload);
	ol_lazy_settle_init(&settle, payload.fd, real.tar_fd, payload.state);
	CHECK_INT(
		"compare", OL_OK, ol_lazy_compare(lazy.index, real.index, true, &settle.map, &err));
	CHECK_INT("a part", OL_OK, ol_lazy_settle_range(&settle, 5000, 5001, NULL, &err));
	assert_true(ol_lazy_state_has(payload.state, 4096, 8192));
	assert_false(ol_lazy_state_is_full(payload.state));
	CHECK_INT("all", OL_OK, ol_lazy_settle_range(&settle, 0, size, NULL, &err));
	assert_true(ol_lazy_state_is_full(payload.state));
	check_runs(&settle.map, &payload, &real, A + B);
	/* A byte of a file that is another is found; one between files is nobody's. */
	CHECK_INT("gap", OL_OK, ol_pwrite_all(payload.fd, &byte, 1, size - 1, NULL));
	CHECK_INT("gap", OL_OK, ol_lazy_settle_range(&settle, 0, size, NULL, &err));
	CHECK_INT("harm", OL_OK, ol_pwrite_all(payload.fd, &byte, 1, 512 + A / 2, NULL));
	CHECK_INT("harm", OL_ECORRUPT, ol_lazy_settle_range(&settle, 0, size, NULL, &err));
	ol_lazy_settle_done(&settle);
	payload_done(&payload);
	layer_done(&lazy);
	layer_done(&real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees_are_compared),
		cmocka_unit_test(what_lacks_is_copied_and_what_is_there_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
