/*
 * Holder, worker's link, commands' client and the driver "lazy", together: layers are mounted, and
 * processes read them while workers and holders are killed. The worker is this program again, with
 * a pattern for a registry. Root only: each skips aloud where its engine cannot work.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/temp.h"
#include "snapshot/erofs_writer.h"
#include "snapshot/layer_mount.h"
#include "snapshot/lazy_client.h"
#include "snapshot/lazy_engine.h"
#include "snapshot/lazy_held_priv.h"
#include "snapshot/lazy_holder.h"
#include "snapshot/lazy_link.h"
#include "snapshot/lazy_wire_priv.h"
#include "store/layer.h"
#include "store/lazy.h"
#include "store/use.h"
#include "tests/check.h"
#include "tests/lazy_pattern.h"

#define FILE_BYTES ((uint64_t)8 << 20)
#define READ_BYTES 65536
#define USER       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *self; /* this program's path; set once in main */

/* ---- the worker ---- */

struct fake {
	ol_lazy_link *link;
	struct {
		ol_digest diff_id;
		int payload_fd;
		ol_lazy_state *state;
	} layer;
	unsigned asks, die_after; /* 0: never */
	int fails;                /* errno for every ask */
	bool lies, finishes, adopts;
};

static void fake_layer(void *ctx, const ol_digest *diff_id, int payload_fd, int state_fd)
{
	struct fake *fake = ctx;
	ol_error err = { 0 };

	fake->layer.diff_id = *diff_id;
	fake->layer.payload_fd = payload_fd;
	if (ol_lazy_state_map(state_fd, &fake->layer.state, &err) < 0)
		_exit(9);
	(void)close(state_fd);
}

static int fake_fill(struct fake *fake, uint64_t start, uint64_t end)
{
	const uint64_t bytes = ol_lazy_state_payload_bytes(fake->layer.state);
	unsigned char block[OL_LAZY_BLOCK];

	for (uint64_t at = start - start % OL_LAZY_BLOCK; at < end; at += OL_LAZY_BLOCK) {
		size_t size = bytes - at < sizeof block ? (size_t)(bytes - at) : sizeof block;

		pattern_fill(block, at, size);
		if (ol_pwrite_all(fake->layer.payload_fd, block, size, at, NULL) < 0)
			return EIO;
		ol_lazy_state_add(fake->layer.state, at, at + size);
	}
	return 0;
}

static void fake_ask(
	void *ctx, uint64_t slot, const ol_digest *diff_id, uint64_t start, uint64_t end)
{
	struct fake *fake = ctx;

	fake->asks++;
	if (fake->die_after && fake->asks > fake->die_after)
		(void)raise(SIGKILL);
	if (!ol_digest_eq(diff_id, &fake->layer.diff_id))
		_exit(8);
	if (fake->fails || fake->lies) {
		ol_lazy_link_answer(fake->link, slot, fake->fails);
		return;
	}
	ol_sleep_ms(2);
	ol_lazy_link_answer(fake->link, slot, fake_fill(fake, start, end));
	if (!fake->finishes || fake->asks < 3)
		return;
	(void)fake_fill(fake, 0, ol_lazy_state_payload_bytes(fake->layer.state));
	ol_lazy_link_done(fake->link, diff_id);
	ol_lazy_link_idle(fake->link);
}

static void fake_gone(void *ctx, const ol_digest *diff_id)
{
	struct fake *fake = ctx;

	(void)diff_id;
	ol_lazy_link_idle(fake->link);
}

static void fake_wake(void *ctx)
{
	(void)ctx;
}

/* argv: --worker MODE ROOT RUN */
static int fake_main(char **argv)
{
	const char *holder[] = { self, "--holder", argv[1], argv[2], argv[3], NULL };
	struct fake fake = { .link = ol_lazy_link_new(3) };
	const ol_lazy_link_handler handler = { fake_layer, fake_ask, fake_gone, fake_wake, &fake };
	ol_error err = { 0 };
	int rc;

	if (strcmp(argv[1], "dies") == 0)
		fake.die_after = 1 + (unsigned)getpid() % 7;
	fake.fails = strcmp(argv[1], "fails") == 0 ? ENOSPC : 0;
	fake.lies = strcmp(argv[1], "lies") == 0;
	fake.finishes = strcmp(argv[1], "finishes") == 0;
	ol_lazy_link_rescue(fake.link, holder);
	rc = ol_lazy_link_run(fake.link, &handler, NULL, &err);
	ol_lazy_state_close(fake.layer.state);
	if (fake.layer.state)
		(void)close(fake.layer.payload_fd);
	ol_lazy_link_free(fake.link);
	return rc == OL_OK ? 0 : 7;
}

static int open_store(const char *root, const char *run, ol_store **out)
{
	ol_error err = { 0 };
	int rc = ol_store_open(&(ol_store_options){ .root = root, .run_root = run }, out, &err);

	if (rc < 0)
		print_error("store: %s\n", err.text);
	return rc;
}

/* argv: --holder MODE ROOT RUN: adopts. */
static int holder_main(char **argv, const char *engine, bool adopt, int ready_fd)
{
	const char *worker[] = { self, "--worker", argv[1], argv[2], argv[3], NULL };
	ol_auto(ol_store_close) ol_store *store = NULL;
	ol_error err = { 0 };
	int rc = open_store(argv[2], argv[3], &store);

	if (rc == OL_OK)
		rc = ol_lazy_hold(&(ol_lazy_hold_options){ .store = store,
					  .engine = engine,
					  .worker = worker,
					  .ready_fd = ready_fd,
					  .adopt = adopt },
			&err);
	if (rc < 0 && ready_fd >= 0)
		(void)!write(ready_fd, rc == OL_EUNSUPPORTED ? "u" : "-", 1);
	if (rc < 0)
		print_error("holder: %s\n", err.text);
	return rc == OL_OK ? 0 : 1;
}

/* ---- the box ---- */

typedef struct box {
	const ol_lazy_engine *ops;
	char dir[64], root[80], run[80];
	ol_store *store;
	ol_layer_info layer;
	pid_t holder;
	int root_fd; /* of the mount */
} box;

static void must(const char *what, int want, int rc, const ol_error *err)
{
	if (rc != want)
		print_error("%s: %s\n", what, err->text);
	CHECK_INT(what, want, rc);
}

/* A layer with one file, which is all of its payload. */
static void put_layer(box *b)
{
	const ol_tar_entry file = { .type = OL_TAR_FILE,
		.name = "f",
		.target = "",
		.mode = 0444,
		.size = FILE_BYTES,
		.data_size = FILE_BYTES };
	const ol_erofs_device payload = { .bytes = FILE_BYTES };
	ol_autofree char *path = ol_text("%s/staging", b->root);
	ol_auto(ol_erofs_writer_free) ol_erofs_writer *writer = NULL;
	ol_autofd int dir_fd = -1, index_fd = -1;
	ol_erofs_written written;
	ol_error err = { 0 };

	assert_int_equal(0, mkdir(path, 0700));
	must("staging", OL_OK, ol_dir_open(AT_FDCWD, path, &dir_fd, &err), &err);
	index_fd = openat(dir_fd, "index.erofs", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	writer = ol_erofs_writer_new(
		&(ol_erofs_writer_options){ .index_fd = index_fd, .temp_fd = dir_fd });
	must("entry", OL_OK, ol_erofs_writer_add(writer, &file, 1, &err), &err);
	must("index", OL_OK, ol_erofs_writer_finish(writer, &payload, 1, &written, &err), &err);
	must("seek", OL_OK, ol_publish(dir_fd, OL_LAZY_SEEK, ol_view_of("-"), 0600, 0, &err), &err);
	b->layer = (ol_layer_info){ .key = ol_digest_of(OL_SHA256, "layer", 5),
		.driver = OL_LAZY_DRIVER,
		.tar_bytes = FILE_BYTES,
		.disk_bytes = written.bytes,
		.blob = ol_digest_of(OL_SHA256, "blob", 4),
		.blob_size = 4,
		.media_type = "application/vnd.oci.image.layer.v1.tar+gzip",
		.index_digest = written.digest };
	b->layer.diff_id = b->layer.key;
	must("lazy", OL_OK, ol_lazy_put(b->store, &b->layer.diff_id, dir_fd, &err), &err);
	must("layer", OL_OK, ol_layer_put(b->store, &b->layer, dir_fd, "index.erofs", &err), &err);
}

static int begin(void **state)
{
	box *b = ol_alloc(sizeof *b);

	b->ops = *state;
	b->root_fd = -1;
	(void)snprintf(b->dir, sizeof b->dir, "/var/tmp/orlop-holder-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	(void)snprintf(b->root, sizeof b->root, "%s/root", b->dir);
	(void)snprintf(b->run, sizeof b->run, "%s/run", b->dir);
	CHECK_INT("store", OL_OK, open_store(b->root, b->run, &b->store));
	put_layer(b);
	*state = b;
	return 0;
}

static void unmount(box *b)
{
	ol_error err = { 0 };

	if (b->root_fd >= 0)
		(void)close(ol_steal_fd(&b->root_fd));
	must("unmount", OL_OK, ol_layer_mounts_end(b->store, USER, &err), &err);
}

/* Whoever serves this run dir by now, as lazy/held says. */
static ol_held held_of(box *b)
{
	ol_autofd int fd = -1;
	ol_held held = { .count = 0 };

	if (ol_dir_open(ol_store_run_fd(b->store), OL_LAZY_RUN_DIR, &fd, NULL) == OL_OK)
		(void)ol_held_read(fd, &held, NULL);
	return held;
}

static bool wait_until_gone(box *b)
{
	for (uint64_t until = ol_now_ms() + 15000; ol_now_ms() < until; ol_sleep_ms(20)) {
		ol_held held = held_of(b);
		bool gone = !ol_process_alive(held.holder.pid, held.holder.start) &&
			    !ol_process_alive(held.worker.pid, held.worker.start);

		ol_held_done(&held);
		if (gone)
			return true;
	}
	return false;
}

static void print_log(const box *b)
{
	ol_auto_buf ol_buf text = OL_BUF((size_t)2 << 20);

	if (ol_file_read(ol_store_run_fd(b->store), OL_LAZY_RUN_DIR "/log", true, &text, NULL) ==
		OL_OK)
		print_message("%s", ol_str_text(&text));
}

static int end(void **state)
{
	box *b = *state;
	const void *ops = b->ops;

	unmount(b);
	if (b->holder && !wait_until_gone(b)) {
		print_log(b);
		print_error("the holder does not end by itself\n");
		fail();
	}
	if (b->holder > 0)
		(void)waitpid(b->holder, NULL, 0);
	ol_store_close(b->store);
	CHECK_INT("clean up", OL_OK, ol_remove_tree(AT_FDCWD, b->dir, NULL));
	free(b);
	memcpy(state, &ops, sizeof ops);
	return 0;
}

/* Serves with a worker of this mode; where the engine cannot work the test is skipped. */
static void start(box *b, const char *mode)
{
	char mode_copy[16], said = '-';
	char *argv[] = { NULL, mode_copy, b->root, b->run };
	int ready[2];

	(void)snprintf(mode_copy, sizeof mode_copy, "%s", mode);
	assert_int_equal(0, pipe2(ready, O_CLOEXEC));
	b->holder = fork();
	if (b->holder == 0) {
		/* The store's handle is the parent's: it is opened anew. */
		(void)close(ready[0]);
		_exit(holder_main(argv, b->ops->name, false, ready[1]));
	}
	(void)close(ready[1]);
	(void)!read(ready[0], &said, 1);
	(void)close(ready[0]);
	if (said == 'u') {
		print_message("skipped: %s cannot work here\n", b->ops->name);
		(void)waitpid(b->holder, NULL, 0);
		b->holder = 0;
		skip();
	}
	assert_int_equal('+', said);
}

static void mount_layer(box *b)
{
	const ol_layer_mount_options options = { .layers = &b->layer, .count = 1, .user_id = USER };
	ol_error err = { 0 };

	must("mount", OL_OK, ol_layer_mounts_begin(b->store, &options, &b->root_fd, &err), &err);
}

/* In a child: reads at places that follow from seed, until all is read or it is told to end. 0: all
 * was right. */
static pid_t reader(box *b, unsigned seed, unsigned rounds)
{
	pid_t pid = fork();

	if (pid == 0) {
		unsigned char *bytes = malloc(READ_BYTES);
		int fd = openat(b->root_fd, "f", O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			_exit(2);
		for (unsigned i = 0; i < rounds; i++) {
			uint64_t at;
			ssize_t n;

			seed = seed * 1103515245 + 12345;
			at = (uint64_t)(seed >> 8) % (FILE_BYTES - READ_BYTES);
			n = pread(fd, bytes, READ_BYTES, (off_t)at);
			if (n < 0)
				_exit(errno == EIO ? 5 : 6);
			if (pattern_differs(bytes, at, (size_t)n) != (size_t)n)
				_exit(3);
		}
		_exit(0);
	}
	return pid;
}

/* Its exit status; 99: it hangs. */
static int finish(pid_t pid, uint64_t timeout_ms)
{
	int status = 0;

	for (uint64_t until = ol_now_ms() + timeout_ms; ol_now_ms() < until; ol_sleep_ms(5))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, &status, 0);
	return 99;
}

static void check_readers(box *b, unsigned rounds)
{
	pid_t pids[4];

	for (unsigned i = 0; i < 4; i++)
		pids[i] = reader(b, i + 1, rounds);
	for (unsigned i = 0; i < 4; i++) {
		int status = finish(pids[i], 60000);

		if (status)
			print_log(b);
		CHECK_INT("reader", 0, status);
	}
}

static void what_is_read_is_filled(void **state)
{
	box *b = *state;

	start(b, "works");
	mount_layer(b);
	check_readers(b, 30);
}

static uint64_t log_bytes(const box *b, const char *name)
{
	struct stat st;

	return fstatat(ol_store_run_fd(b->store), name, &st, 0) == 0 ? (uint64_t)st.st_size : 0;
}

/* Whoever writes: a worker has its own copy of the descriptor, and may live for days. */
static void the_log_is_begun_anew_under_who_writes_it(void **state)
{
	static const char line[] = "a worker's line\n";
	box *b = *state;
	ol_autofree char *lines = ol_alloc(3 << 19);
	ol_autofd int fd = -1;

	start(b, "works");
	mount_layer(b);
	memset(lines, 'x', 3 << 19);
	fd = openat(
		ol_store_run_fd(b->store), OL_LAZY_RUN_DIR "/log", O_WRONLY | O_APPEND | O_CLOEXEC);
	CHECK_INT("write", OL_OK, ol_write_all(fd, lines, 3 << 19, NULL));
	for (uint64_t until = ol_now_ms() + 15000;
		log_bytes(b, OL_LAZY_RUN_DIR "/log") >= 1 << 20 && ol_now_ms() < until;
		ol_sleep_ms(20))
		continue;
	CHECK_INT("write", OL_OK, ol_write_all(fd, line, sizeof line - 1, NULL));
	CHECK_INT("the old one", 1, log_bytes(b, OL_LAZY_RUN_DIR "/log.1") >= 3 << 19);
	CHECK_INT("the new one", 1, log_bytes(b, OL_LAZY_RUN_DIR "/log") >= sizeof line - 1);
	CHECK_INT("the new one", 1, log_bytes(b, OL_LAZY_RUN_DIR "/log") < 1 << 20);
}

static void readers_wait_while_workers_die(void **state)
{
	box *b = *state;

	start(b, "dies");
	mount_layer(b);
	check_readers(b, 15);
}

static void a_failure_is_an_error_never_zeros(void **state)
{
	box *b = *state;

	start(b, "fails");
	mount_layer(b);
	CHECK_INT("reader", 5, finish(reader(b, 1, 1), 10000));
}

static void one_that_lies_is_not_believed(void **state)
{
	box *b = *state;

	start(b, "lies");
	mount_layer(b);
	CHECK_INT("reader", 5, finish(reader(b, 1, 1), 10000));
}

static void what_is_complete_needs_nobody(void **state)
{
	box *b = *state;

	start(b, "finishes");
	mount_layer(b);
	check_readers(b, 20);
	if (!b->ops->stays) {
		assert_true(wait_until_gone(b));
		check_readers(b, 20);
	}
}

static void sigterm_is_ignored_while_it_is_needed(void **state)
{
	box *b = *state;

	start(b, "works");
	mount_layer(b);
	assert_int_equal(0, kill(b->holder, SIGTERM));
	check_readers(b, 3);
	CHECK_INT("lives", 0, waitpid(b->holder, NULL, WNOHANG));
	unmount(b);
	/* A moment until the mount's end is through; then it is obeyed, or done anyhow. */
	CHECK_INT("ends", 0, finish(b->holder, 15000));
	b->holder = 0;
}

/* Kills whoever holds now, n times, while readers read. */
static void readers_wait_while_holders_die(void **state)
{
	box *b = *state;
	pid_t pids[4];

	start(b, "works");
	mount_layer(b);
	for (unsigned i = 0; i < 4; i++)
		pids[i] = reader(b, i + 1, 60);
	for (unsigned i = 0; i < 5; i++) {
		ol_held held;

		ol_sleep_ms(20 + i * 37);
		held = held_of(b);
		assert_true(held.holder.pid > 0);
		(void)kill(held.holder.pid, SIGKILL);
		ol_held_done(&held);
		if (i == 0) {
			(void)waitpid(b->holder, NULL, 0);
			b->holder = -1;
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		int status = finish(pids[i], 20000);

		if (status)
			print_log(b);
		/* An event that was read and told nobody of ends with an error. */
		CHECK_INT("reader", 0, status == 5 ? 0 : status);
	}
	check_readers(b, 10);
}

struct losses {
	unsigned count;
	bool zeros;
};

static void count_loss(void *ctx, const ol_lazy_loss *loss)
{
	struct losses *losses = ctx;

	CHECK_STR("user", USER, loss->user_id);
	losses->count++;
	losses->zeros = loss->zeros;
}

static unsigned lost(box *b, bool *zeros)
{
	struct losses losses = { 0, false };
	ol_error err = { 0 };

	must("lost", OL_OK, ol_lazy_lost(b->store, count_loss, &losses, &err), &err);
	*zeros = losses.zeros;
	return losses.count;
}

static void a_loss_is_found_out_once(void **state)
{
	box *b = *state;
	ol_held held;
	bool zeros;

	start(b, "works");
	mount_layer(b);
	check_readers(b, 2);
	CHECK_INT("nothing is lost", 0, lost(b, &zeros));
	held = held_of(b);
	/* The worker first: alone it would start another holder. */
	(void)kill(held.holder.pid, SIGSTOP);
	(void)kill(held.worker.pid, SIGKILL);
	(void)kill(held.holder.pid, SIGKILL);
	ol_held_done(&held);
	(void)waitpid(b->holder, NULL, 0);
	b->holder = 0;
	assert_true(wait_until_gone(b));
	CHECK_INT("one user", 1, lost(b, &zeros));
	CHECK_INT("zeros", b->ops->leaves_zeros, zeros);
	CHECK_INT("once", 0, lost(b, &zeros));
	unmount(b);
	start(b, "works");
	mount_layer(b);
	check_readers(b, 10);
}

static int control(box *b)
{
	ol_error err = { 0 };
	int fd = -1;

	must("connect", OL_OK, ol_lazy_connect(b->store, &fd, &err), &err);
	return fd;
}

/* Whatever is sent, the holder goes on; and what is no request is answered by hanging up. */
static void what_is_no_request_is_refused(void **state)
{
	static const struct {
		const char *label;
		ol_wire wire;
		bool answered;
	} cases[] = {
		{ "hello", { .kind = OL_WIRE_HELLO }, true },
		{ "kind 0", { .kind = 0 }, false },
		{ "kind 99", { .kind = 99 }, false },
		{ "a worker's", { .kind = OL_WIRE_ANSWER }, false },
		{ "a worker's end", { .kind = OL_WIRE_IDLE }, false },
		{ "no digest", { .kind = OL_WIRE_UNWATCH }, false },
		{ "half a digest", { .kind = OL_WIRE_WATCH, .algorithm = 9 }, false },
		{ "another's place", { .kind = OL_WIRE_END }, false },
		{ "not watched", { .kind = OL_WIRE_UNWATCH, .algorithm = OL_SHA256 }, true },
		{ "needs more", { .kind = OL_WIRE_WATCH, .algorithm = OL_SHA256 }, true },
	};
	static const size_t sizes[] = { 1, 3, 100, sizeof(ol_wire) - 1, sizeof(ol_wire) + 1,
		65536 };
	box *b = *state;
	char bytes[65536];
	ol_error err = { 0 };

	start(b, "works");
	OL_EACH (cases, c) {
		ol_autofd int fd = control(b);
		ol_wire_packet packet;
		int rc = ol_wire_send(fd, &c->wire, NULL, 0, true, &err);

		if (rc == OL_OK)
			rc = ol_wire_receive(fd, true, &packet, &err);
		if (rc == OL_OK)
			ol_wire_packet_done(&packet);
		CHECK_INT(c->label, c->answered ? OL_OK : OL_EUNAVAILABLE, rc);
	}
	memset(bytes, 0x5a, sizeof bytes);
	OL_EACH (sizes, size) {
		ol_autofd int fd = control(b);
		char back;

		assert_true(send(fd, bytes, *size, MSG_NOSIGNAL) == (ssize_t)*size);
		CHECK_INT("hangs up", 0, recv(fd, &back, 1, 0));
	}
	assert_true(ol_lazy_is_held(b->store));
}

/* Payloads and states that do not fit together. */
static void what_cannot_be_watched_is_refused(void **state)
{
	box *b = *state;
	ol_wire wire = { .kind = OL_WIRE_WATCH, .algorithm = OL_SHA256 };
	ol_autofd int good = -1, small = -1, null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ol_autofd int reading = -1, dir_fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ol_auto(ol_lazy_state_close) ol_lazy_state *s = NULL;
	const ol_digest other = ol_digest_of(OL_SHA256, "other", 5);
	ol_error err = { 0 };
	bool fresh;

	start(b, "works");
	must("temp", OL_OK, ol_temp_open(dir_fd, &good, &err), &err);
	must("temp", OL_OK, ol_temp_open(dir_fd, &small, &err), &err);
	assert_int_equal(0, ftruncate(good, 8192));
	assert_int_equal(0, ftruncate(small, 4096));
	reading = open(ol_fd_path_of(good).text, O_RDONLY | O_CLOEXEC);
	must("state", OL_OK,
		ol_lazy_state_open(ol_store_run_fd(b->store), &other, 8192,
			ol_store_boot_id(b->store), &fresh, &s, &err),
		&err);
	ol_wire_set_digest(&wire, &other);
	const struct {
		const char *label;
		int payload, state;
		ol_wire_kind answer;
	} cases[] = {
		{ "payload for a state", good, good, OL_WIRE_FAILED },
		{ "a device", null_fd, ol_lazy_state_fd(s), OL_WIRE_FAILED },
		{ "a folder", dir_fd, ol_lazy_state_fd(s), OL_WIRE_FAILED },
		{ "too small", small, ol_lazy_state_fd(s), OL_WIRE_FAILED },
		{ "only to read", reading, ol_lazy_state_fd(s), OL_WIRE_FAILED },
		{ "both", good, ol_lazy_state_fd(s), OL_WIRE_OK },
	};
	(void)close(ol_steal_fd(&reading));
	OL_EACH (cases, c) {
		ol_autofd int fd = control(b);
		ol_wire_packet packet;

		if (strcmp(c->label, "only to read") == 0)
			reading = open(ol_fd_path_of(good).text, O_RDONLY | O_CLOEXEC);
		must(c->label, OL_OK,
			ol_wire_send(fd, &wire,
				(const int[]){ reading >= 0 ? reading : c->payload, c->state }, 2,
				true, &err),
			&err);
		if (reading >= 0)
			(void)close(ol_steal_fd(&reading));
		must(c->label, OL_OK, ol_wire_receive(fd, true, &packet, &err), &err);
		CHECK_INT(c->label, c->answer, packet.wire.kind);
		ol_wire_packet_done(&packet);
	}
}

#define HOLDER_TEST(test)                                                                          \
	{                                                                                          \
#test, test, begin, end, NULL                                                      \
	}

int main(int argc, char **argv)
{
	int failed = 0;

	self = "/proc/self/exe";
	if (argc == 5 && strcmp(argv[1], "--worker") == 0)
		return fake_main(argv + 1);
	if (argc == 5 && strcmp(argv[1], "--holder") == 0)
		return holder_main(argv + 1, NULL, true, -1);
	for (const ol_lazy_engine *const *row = ol_lazy_engines(); *row; row++) {
		struct CMUnitTest tests[] = {
			HOLDER_TEST(what_is_read_is_filled),
			HOLDER_TEST(the_log_is_begun_anew_under_who_writes_it),
			HOLDER_TEST(readers_wait_while_workers_die),
			HOLDER_TEST(a_failure_is_an_error_never_zeros),
			HOLDER_TEST(one_that_lies_is_not_believed),
			HOLDER_TEST(what_is_complete_needs_nobody),
			HOLDER_TEST(sigterm_is_ignored_while_it_is_needed),
			HOLDER_TEST(readers_wait_while_holders_die),
			HOLDER_TEST(a_loss_is_found_out_once),
			HOLDER_TEST(what_is_no_request_is_refused),
			HOLDER_TEST(what_cannot_be_watched_is_refused),
		};

		for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
			tests[i].initial_state = (void *)(uintptr_t)*row;
		failed += cmocka_run_group_tests_name((*row)->name, tests, NULL, NULL);
	}
	return failed;
}
