/* One suite for every row of the table of engines. Root only: each skips aloud where it cannot
 * work. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/temp.h"
#include "snapshot/lazy_engine.h"
#include "snapshot/lazy_engine_priv.h"
#include "tests/check.h"
#include "tests/lazy_pattern.h"

#define PAYLOAD_BYTES ((uint64_t)(1 << 20) + 512)

typedef struct box {
	const ol_lazy_engine *ops;
	char dir[64];
	int dir_fd, payload_fd, device_fd;
	ol_engine *engine;
	ol_engine_layer layer;
} box;

static int begin(void **state)
{
	box *b = ol_alloc(sizeof *b);
	ol_error err = { 0 };
	bool fresh = false;

	b->ops = *state;
	b->device_fd = -1;
	(void)snprintf(b->dir, sizeof b->dir, "/var/tmp/orlop-engine-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->dir_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = b;
	CHECK_INT("payload", OL_OK, ol_temp_open(b->dir_fd, &b->payload_fd, &err));
	assert_int_equal(0, ftruncate(b->payload_fd, (off_t)PAYLOAD_BYTES));
	b->layer.diff_id = ol_digest_of(OL_SHA256, "layer", 5);
	b->layer.payload_fd = b->payload_fd;
	b->layer.payload_bytes = PAYLOAD_BYTES;
	CHECK_INT("state", OL_OK,
		ol_lazy_state_open(b->dir_fd, &b->layer.diff_id, PAYLOAD_BYTES, "boot", &fresh,
			&b->layer.state, &err));
	assert_true(fresh);
	return 0;
}

static int end(void **state)
{
	box *b = *state;
	const void *ops = b->ops;

	if (b->device_fd >= 0)
		(void)close(b->device_fd);
	if (b->engine)
		b->ops->close(b->engine);
	ol_lazy_state_close(b->layer.state);
	(void)close(b->payload_fd);
	(void)close(b->dir_fd);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, b->dir, NULL));
	free(b);
	memcpy(state, &ops, sizeof ops);
	return 0;
}

static void must(const char *what, int want, int rc, const ol_error *err)
{
	if (rc != want)
		print_error("%s: %s\n", what, err->text);
	CHECK_INT(what, want, rc);
}

/* Opened and watched; where it cannot work the test is skipped. */
static void open_engine(box *b)
{
	ol_error err = { 0 };
	int rc = b->ops->open(&b->engine, &err);

	if (rc == OL_OK)
		rc = b->ops->watch(b->engine, &b->layer, &err);
	if (rc == OL_EUNSUPPORTED) {
		print_message("skipped: %s: %s\n", b->ops->name, err.text);
		skip();
	}
	must("watch", OL_OK, rc, &err);
	must("device", OL_OK, b->ops->device(b->engine, &b->layer, &b->device_fd, &err), &err);
}

struct reading {
	int fd, over_fd;
	uint64_t offset;
	unsigned char bytes[65536];
	ssize_t got;
	int sys;
};

static void *reader(void *arg)
{
	struct reading *r = arg;

	r->got = pread(r->fd, r->bytes, sizeof r->bytes, (off_t)r->offset);
	r->sys = errno;
	(void)close(r->over_fd);
	return NULL;
}

static void fill(box *b, uint64_t start, uint64_t stop)
{
	unsigned char block[OL_LAZY_BLOCK];

	start -= start % OL_LAZY_BLOCK;
	for (uint64_t at = start; at < stop; at += OL_LAZY_BLOCK) {
		uint64_t left = PAYLOAD_BYTES - at;
		size_t size = left < sizeof block ? (size_t)left : sizeof block;

		pattern_fill(block, at, size);
		must("write", OL_OK, ol_pwrite_all(b->payload_fd, block, size, at, NULL),
			&(ol_error){ 0 });
		ol_lazy_state_add(b->layer.state, at, at + size);
	}
}

/* Reads at offset while asks are answered with sys; how many came. */
static unsigned read_at(box *b, uint64_t offset, int sys, struct reading *r)
{
	unsigned asks = 0;
	ol_error err = { 0 };
	pthread_t thread;
	int over[2];

	*r = (struct reading){ .fd = b->device_fd, .offset = offset };
	assert_int_equal(0, pipe2(over, O_CLOEXEC));
	r->over_fd = over[1];
	assert_int_equal(0, pthread_create(&thread, NULL, reader, r));
	for (uint64_t until = ol_now_ms() + 10000;;) {
		struct pollfd fds[] = { { .fd = b->ops->poll_fd(b->engine), .events = POLLIN },
			{ .fd = over[0], .events = POLLIN } };
		ol_engine_ask ask;
		int rc;

		assert_true(ol_now_ms() < until);
		assert_true(poll(fds, 2, 1000) >= 0);
		if (fds[1].revents)
			break;
		while ((rc = b->ops->next(b->engine, &ask, &err)) == 1) {
			asks++;
			assert_ptr_equal(&b->layer, ask.layer);
			assert_true(ask.start < ask.end && ask.end <= PAYLOAD_BYTES);
			if (sys == 0)
				fill(b, ask.start, ask.end);
			must("answer", OL_OK, b->ops->answer(b->engine, &ask, sys, &err), &err);
		}
		must("next", 0, rc, &err);
	}
	assert_int_equal(0, pthread_join(thread, NULL));
	(void)close(over[0]);
	return asks;
}

static void check_read(const struct reading *r, size_t size)
{
	CHECK_INT("read", (long long)size, r->got);
	CHECK_INT("bytes", (long long)size, (long long)pattern_differs(r->bytes, r->offset, size));
}

static void it_can_be_tried_out(void **state)
{
	box *b = *state;
	ol_error err = { 0 };
	int rc = b->ops->probe(b->dir_fd, &err);

	if (rc == OL_EUNSUPPORTED) {
		print_message("skipped: %s: %s\n", b->ops->name, err.text);
		skip();
	}
	must("probe", OL_OK, rc, &err);
}

static void what_is_not_there_is_asked_for_once(void **state)
{
	static const struct {
		const char *label;
		uint64_t offset;
		size_t size;
		bool asks;
	} cases[] = {
		{ "beginning", 0, 65536, true },
		{ "again", 0, 65536, false },
		{ "odd place", 700001, 65536, true },
		{ "end", PAYLOAD_BYTES - 512, 512, true },
		{ "past the end", PAYLOAD_BYTES, 0, false },
	};
	box *b = *state;
	struct reading *r = ol_alloc(sizeof *r);

	open_engine(b);
	OL_EACH (cases, c) {
		CHECK_INT(c->label, c->asks, read_at(b, c->offset, 0, r) > 0);
		check_read(r, c->size);
	}
	free(r);
}

static void what_is_there_is_answered_inside(void **state)
{
	box *b = *state;
	struct reading *r = ol_alloc(sizeof *r);

	open_engine(b);
	fill(b, 0, PAYLOAD_BYTES);
	CHECK_INT("asks", 0, read_at(b, 4096, 0, r));
	check_read(r, 65536);
	assert_true(ol_lazy_state_counters(b->layer.state)->hits > 0);
	CHECK_INT("misses", 0, (long long)ol_lazy_state_counters(b->layer.state)->misses);
	free(r);
}

static void a_failure_is_an_error_and_is_asked_again(void **state)
{
	box *b = *state;
	struct reading *r = ol_alloc(sizeof *r);

	open_engine(b);
	assert_true(read_at(b, 8192, ENOSPC, r) > 0);
	CHECK_INT("failed", -1, r->got);
	CHECK_INT("errno", EIO, r->sys);
	assert_true(read_at(b, 8192, 0, r) > 0);
	check_read(r, 65536);
	free(r);
}

static void it_knows_whether_somebody_has_it_open(void **state)
{
	box *b = *state;
	ol_error err = { 0 };

	open_engine(b);
	assert_true(b->ops->in_use(b->engine, &b->layer));
	(void)close(ol_steal_fd(&b->device_fd));
	for (uint64_t until = ol_now_ms() + 5000; b->ops->in_use(b->engine, &b->layer);) {
		ol_engine_ask ask;

		assert_true(ol_now_ms() < until);
		must("next", 0, b->ops->next(b->engine, &ask, &err), &err);
		ol_sleep_ms(1);
	}
	must("unwatch", OL_OK, b->ops->unwatch(b->engine, &b->layer, &err), &err);
}

static void what_is_whole_needs_no_engine(void **state)
{
	box *b = *state;
	struct reading *r = ol_alloc(sizeof *r);
	ol_error err = { 0 };

	open_engine(b);
	fill(b, 0, PAYLOAD_BYTES);
	if (!b->ops->stays) {
		must("unwatch", OL_OK, b->ops->unwatch(b->engine, &b->layer, &err), &err);
		b->ops->close(ol_steal(&b->engine));
		r->fd = b->device_fd;
		r->over_fd = -1;
		(void)reader(r);
		check_read(r, 65536);
	}
	free(r);
}

static void engines_have_names(void **state)
{
	static const struct {
		const char *name;
		bool is;
	} cases[] = { { "fanotify", true }, { "fuse", true }, { "auto", false }, { "", false },
		{ "Fuse", false } };

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(c->name, c->is, ol_lazy_engine_named(c->name) != NULL);
}

static void a_choice_says_why(void **state)
{
	static const struct {
		const char *want;
		bool refused;
	} cases[] = { { NULL, false }, { "auto", false }, { "fuse", false }, { "magic", true } };
	ol_autofd int dir_fd = open("/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	OL_EACH (cases, c) {
		const ol_lazy_engine *engine = NULL;
		ol_error err = { 0 };
		char why[256] = "";
		int rc = ol_lazy_engine_choose(dir_fd, c->want, &engine, why, &err);

		print_message("# %s: %s: %s%s\n", c->want ? c->want : "any",
			engine ? engine->name : "none", why, err.text);
		if (c->refused)
			CHECK_INT("magic", OL_EINVAL, rc);
		else if (rc == OL_OK)
			assert_true(engine && why[0]);
		else
			CHECK_INT("choose", OL_EUNSUPPORTED, rc);
	}
}

#define ENGINE_TEST(test)                                                                          \
	{                                                                                          \
#test, test, begin, end, NULL                                                      \
	}

int main(void)
{
	const struct CMUnitTest any[] = { cmocka_unit_test(engines_have_names),
		cmocka_unit_test(a_choice_says_why) };
	int failed = 0;

	(void)signal(SIGIO, SIG_IGN); /* in_use takes a lease for a moment */
	for (const ol_lazy_engine *const *row = ol_lazy_engines(); *row; row++) {
		struct CMUnitTest tests[] = {
			ENGINE_TEST(it_can_be_tried_out),
			ENGINE_TEST(what_is_not_there_is_asked_for_once),
			ENGINE_TEST(what_is_there_is_answered_inside),
			ENGINE_TEST(a_failure_is_an_error_and_is_asked_again),
			ENGINE_TEST(it_knows_whether_somebody_has_it_open),
			ENGINE_TEST(what_is_whole_needs_no_engine),
		};

		for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
			tests[i].initial_state = (void *)(uintptr_t)*row;
		print_message("# %s\n", (*row)->name);
		failed += cmocka_run_group_tests_name((*row)->name, tests, NULL, NULL);
	}
	return failed + cmocka_run_group_tests(any, NULL, NULL);
}
