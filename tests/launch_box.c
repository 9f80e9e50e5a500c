#include "tests/launch_box.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "tests/check.h"

#define WAIT_MS 20000
#define ID      "feedc0de12340000000000000000000000000000000000000000000000000000"

static const char *const applets[] = { "sh", "cat", "ls", "id", "echo", "sleep", "readlink",
	"mount", "stat", "mknod", "dd", "head", "grep", "touch", "stty", "true", "pwd", "env",
	"hostname", "mkdir", "kill", "tty", "ulimit", "wc", "rm", "chmod", "ln", "unshare", "ip",
	"seq" };

/* A static program needs no loader. */
static bool has_interpreter(const ol_buf *program)
{
	const Elf64_Ehdr *head = (const void *)program->data;
	const Elf64_Phdr *parts;

	if (program->size < sizeof *head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
		head->e_phoff + head->e_phnum * sizeof *parts > program->size)
		return true;
	parts = (const void *)(program->data + head->e_phoff);
	for (size_t i = 0; i < head->e_phnum; i++)
		if (parts[i].p_type == PT_INTERP)
			return true;
	return false;
}

static bool copy_busybox(int root_fd)
{
	ol_auto_buf ol_buf program = OL_BUF((size_t)16 << 20);

	if (ol_file_read(AT_FDCWD, "/bin/busybox", false, &program, NULL) < 0)
		return false;
	if (has_interpreter(&program))
		return false;
	return ol_publish(root_fd, "bin/busybox", ol_buf_view(&program), 0755, OL_PUBLISH_REPLACE,
		       NULL) == OL_OK;
}

static bool fill_root(int root_fd)
{
	static const char *const folders[] = { "bin", "etc", "proc", "sys", "dev", "tmp", "root" };

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		assert_int_equal(0, mkdirat(root_fd, folders[i], 0755));
	assert_int_equal(0, fchmodat(root_fd, "tmp", 01777, 0));
	assert_int_equal(OL_OK, ol_publish(root_fd, "etc/passwd",
					ol_view_of("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/"
						   "home/user:/bin/sh\n"),
					0644, 0, NULL));
	if (!copy_busybox(root_fd))
		return false;
	for (size_t i = 0; i < sizeof applets / sizeof applets[0]; i++) {
		ol_autofree char *name = ol_text("bin/%s", applets[i]);

		assert_int_equal(0, symlinkat("busybox", root_fd, name));
	}
	return true;
}

bool launch_box_init(launch_box *box)
{
	if (geteuid() != 0) {
		print_message("SKIP: launching containers needs root\n");
		return false;
	}
	box->runtime = NULL;
	(void)snprintf(box->path, sizeof box->path, "/var/tmp/orlop-launch.XXXXXX");
	assert_non_null(mkdtemp(box->path));
	assert_int_equal(0, chmod(box->path, 0755));
	box->dir_fd = open(box->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_int_equal(0, mkdirat(box->dir_fd, "root", 0755));
	assert_int_equal(0, mkdirat(box->dir_fd, "bundle", 0755));
	box->root_fd = openat(box->dir_fd, "root", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_true(box->root_fd >= 0);
	if (!fill_root(box->root_fd)) {
		print_message("SKIP: no static /bin/busybox (package busybox-static)\n");
		launch_box_done(box);
		return false;
	}
	return true;
}

void launch_box_done(launch_box *box)
{
	(void)close(box->root_fd);
	(void)close(box->dir_fd);
	assert_int_equal(OL_OK, ol_remove_tree(AT_FDCWD, box->path, NULL));
}

static int launch(
	const launch_box *box, const ol_container_options *options, int *status, ol_error *err)
{
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	ol_autofree char *root = ol_text("%s/root", box->path);
	ol_autofree char *files = ol_text("%s/bundle", box->path);
	ol_autofd int files_fd = open(files, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	const ol_bundle_input input = { .options = options,
		.rootfs_fd = box->root_fd,
		.rootfs_path = root,
		.id = ID,
		.files_dir = files,
		.for_runtime = box->runtime != NULL };
	const ol_launch_options how = { .id = ID,
		.rootfs_path = root,
		.bundle_path = files,
		.run_dir = files,
		.runtime = box->runtime,
		.tty = options->tty,
		.interactive = options->interactive,
		.log_fd = -1 };
	int rc = ol_bundle_new(&input, &bundle, err);

	if (rc == OL_OK)
		rc = ol_bundle_write_files(bundle, files_fd, err);
	return rc == OL_OK ? ol_launch(bundle, &how, status, err) : rc;
}

/* In the child: never returns. */
static void run_child(const launch_box *box, const ol_container_options *options)
{
	ol_error err = { .code = 0 };
	int status = 0, rc;

	rc = launch(box, options, &status, &err);
	if (err.text[0] && (rc < 0 || status == 126 || status == 127))
		(void)dprintf(2, "launch: %s\n", err.text);
	_exit(rc < 0 ? 125 : status);
}

void launch_begin(const launch_box *box, const ol_container_options *options, const char *script,
	bool terminal, launch_run *run)
{
	const char *const args[] = { "/bin/sh", "-c", script, NULL };
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	ol_container_options filled = *options;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, near = -1;

	*run = (launch_run){ .in = -1, .out = -1 };
	if (!filled.args)
		filled.args = args;
	if (terminal) {
		run->pid = forkpty(&near, NULL, NULL, &size);
	} else {
		assert_int_equal(0, pipe2(in, O_CLOEXEC));
		assert_int_equal(0, pipe2(out, O_CLOEXEC));
		run->pid = fork();
	}
	assert_true(run->pid >= 0);
	if (run->pid == 0) {
		if (!terminal && (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(out[1], 2) < 0))
			_exit(124);
		if (!terminal) {
			(void)close(in[1]);
			(void)close(out[0]);
		}
		run_child(box, &filled);
	}
	if (!terminal) {
		(void)close(in[0]);
		(void)close(out[1]);
	} else {
		(void)fcntl(near, F_SETFD, FD_CLOEXEC);
	}
	run->in = terminal ? near : in[1];
	run->out = terminal ? near : out[0];
}

/* Some more of its words; false at the end. */
static bool read_more(launch_run *run)
{
	struct pollfd fd = { .fd = run->out, .events = POLLIN };
	ssize_t got;

	if (poll(&fd, 1, WAIT_MS) <= 0) {
		print_error("it hangs, having said:\n%s\n", run->text);
		(void)kill(run->pid, SIGKILL);
		fail();
	}
	if (run->size == sizeof run->text - 1)
		return false;
	got = read(run->out, run->text + run->size, sizeof run->text - 1 - run->size);
	if (got <= 0)
		return false;
	run->size += (size_t)got;
	run->text[run->size] = '\0';
	return true;
}

void launch_await(launch_run *run, const char *words)
{
	while (!strstr(run->text, words))
		if (!read_more(run)) {
			print_error("it never said \"%s\", but:\n%s\n", words, run->text);
			fail();
		}
}

void launch_end(launch_run *run)
{
	int raw = 0;

	if (run->in != run->out)
		(void)close(run->in);
	while (read_more(run))
		continue;
	(void)close(run->out);
	assert_int_equal(run->pid, waitpid(run->pid, &raw, 0));
	run->status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

void launch_sh(const launch_box *box, const ol_container_options *options, const char *script,
	launch_run *run)
{
	launch_begin(box, options, script, false, run);
	launch_end(run);
}
