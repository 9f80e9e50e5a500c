/*
 * Starting the holder, and being it.
 *
 *	command ── forks ──▶ (a child, ends) ── forks ──▶ orlop lazy-holder ──▶ orlop lazy-worker
 *	   ▲                                                    │
 *	   └──────────── "+", or why not, over a pipe ──────────┘
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/clock.h"
#include "image/lazy_source_priv.h"
#include "image/lazy_start_priv.h"
#include "image/session_priv.h"
#include "snapshot/lazy_client.h"
#include "snapshot/lazy_engine.h"
#include "snapshot/lazy_holder.h"
#include "store/lazy.h"
#include "store/use.h"

/* It tries engines out and may wait for the one before it to end. */
#define READY_MS 30000
#define READY_FD 3

/* Where we were started from; of a program that was replaced since, its path all the same. */
static char *program_path(void)
{
	static const char gone[] = " (deleted)";
	char path[PATH_MAX + sizeof gone];
	ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);

	if (size <= 0)
		return ol_strdup("/proc/self/exe");
	path[size] = '\0';
	if (ol_view_ends(ol_view_of(path), gone))
		path[size - (ssize_t)strlen(gone)] = '\0';
	return ol_strdup(access(path, X_OK) == 0 ? path : "/proc/self/exe");
}

void ol_lazy_argv_init(
	ol_lazy_argv *out, const ol_session *session, const char *command, const char *extra)
{
	char *program = program_path();

	*out = (ol_lazy_argv){ .argv = { program, "--root", ol_store_root(session->store),
				       "--run-root", session->run_root, command, extra, NULL },
		.program = program };
}

void ol_lazy_argv_add(ol_lazy_argv *argv, const char *word)
{
	size_t count = 0;

	while (argv->argv[count])
		count++;
	assert(count + 1 < sizeof argv->argv / sizeof *argv->argv);
	argv->argv[count] = word;
}

void ol_lazy_argv_done(ol_lazy_argv *argv)
{
	free(argv->program);
	*argv = (ol_lazy_argv){ .program = NULL };
}

/* In the child: away from the terminal and from whoever waits for us; the pipe becomes 3. */
static int detach(void *ctx)
{
	const int fd = *(const int *)ctx;
	pid_t pid;

	if (setsid() < 0)
		return OL_ESYSTEM;
	pid = fork();
	if (pid < 0)
		return OL_ESYSTEM;
	if (pid > 0)
		_exit(0);
	/* A copy of itself would keep O_CLOEXEC. */
	if (fd == READY_FD)
		return fcntl(fd, F_SETFD, 0) < 0 ? OL_ESYSTEM : OL_OK;
	return dup2(fd, READY_FD) < 0 ? OL_ESYSTEM : OL_OK;
}

/* "+": it serves. Else its words. */
static int await_ready(int fd, ol_error *err)
{
	const uint64_t until = ol_now_ms() + READY_MS;
	char text[400] = "";
	size_t size = 0;
	ssize_t n = 1;

	while (n != 0 && size < sizeof text - 1 && text[0] != '+') {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		uint64_t now = ol_now_ms();
		int ready = now < until ? poll(&wait, 1, (int)(until - now)) : 0;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ol_fail(err, OL_EUNAVAILABLE, "the lazy-holder does not begin");
		n = read(fd, text + size, sizeof text - 1 - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ol_fail_sys(err, "lazy-holder");
		size += (size_t)n;
	}
	if (text[0] == '+')
		return OL_OK;
	return ol_fail(err, OL_EUNSUPPORTED, "%s",
		text[0] ? text : "the lazy-holder ended at once; its log says why");
}

static int start_holder(ol_session *session, const char *engine, ol_error *err)
{
	ol_lazy_argv argv;
	ol_autofd int ready = -1;
	int ends[2], status, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return ol_fail_sys(err, "pipe");
	ready = ends[0];
	ol_lazy_argv_init(&argv, session, "lazy-holder", "--ready");
	if (engine) {
		ol_lazy_argv_add(&argv, "--engine");
		ol_lazy_argv_add(&argv, engine);
	}
	rc = ol_child_start(&(ol_child_options){ .argv = argv.argv,
				    .stdin_fd = -1,
				    .stdout_fd = -1,
				    .stderr_fd = -1,
				    .prepare = detach,
				    .ctx = &ends[1] },
		&pid, err);
	(void)close(ends[1]);
	ol_lazy_argv_done(&argv);
	if (rc == OL_OK)
		rc = ol_child_wait(pid, &status, err);
	if (rc == OL_OK)
		rc = await_ready(ready, err);
	return rc < 0 ? ol_wrap(err, rc, "starting a lazy-holder") : OL_OK;
}

void ol_lazy_let_go(ol_session *session)
{
	if (session->lazy_fd >= 0)
		(void)close(ol_steal_fd(&session->lazy_fd));
}

/* A connection of this session, while which is open the holder does not end by itself. */
static int connect_holder(ol_session *session, ol_error *err)
{
	ol_lazy_let_go(session);
	return ol_lazy_connect(session->store, &session->lazy_fd, err);
}

static const char *wanted(const char *engine)
{
	return engine && *engine && strcmp(engine, "auto") != 0 ? engine : NULL;
}

/* The engine that was asked for: now, when the layer was pulled, or for all. Owned; NULL: the best.
 */
static char *engine_for(ol_session *session, const ol_layer_info *layer)
{
	ol_lazy_source source = { .engine = NULL };
	const char *engine = wanted(session->options.lazy_engine);
	ol_autofd int dir_fd = -1;
	char *out;

	if (!engine && ol_lazy_open(session->store, &layer->diff_id, &dir_fd, NULL) == OL_OK &&
		ol_lazy_source_read(session->store, dir_fd, &layer->diff_id, &source, NULL) ==
			OL_OK)
		engine = wanted(source.engine);
	out = ol_strdup(engine ? engine : wanted(getenv("ORLOP_LAZY_ENGINE")));
	ol_lazy_source_done(&source);
	return out;
}

/* One holder serves all of a run folder. */
static void tell_other_engine(ol_session *session, const char *engine)
{
	char name[16];

	if (engine && ol_lazy_engine_of(session->store, name, NULL) == OL_OK &&
		strcmp(name, engine) != 0)
		ol_tell_text(&session->options.listener, OL_EVENT_NOTE,
			"lazy layers are served by %s, not %s, as long as others are mounted", name,
			engine);
}

/* Connected to a holder, which is started if there is none. */
static int have_holder(ol_session *session, const char *engine, ol_error *err)
{
	ol_error why = { 0 };
	int rc = connect_holder(session, &why);

	if (rc < 0 && rc != OL_EUNAVAILABLE && err)
		*err = why;
	if (rc == OL_EUNAVAILABLE) {
		rc = start_holder(session, engine, err);
		if (rc == OL_OK)
			rc = connect_holder(session, err);
	} else if (rc == OL_OK) {
		tell_other_engine(session, engine);
	}
	return rc;
}

void ol_lazy_start_early(ol_session *session, const char *engine)
{
	if (!wanted(engine))
		engine = wanted(session->options.lazy_engine);
	if (!engine)
		engine = getenv("ORLOP_LAZY_ENGINE");
	(void)have_holder(session, wanted(engine), NULL);
}

int ol_lazy_start(ol_session *session, const ol_layer_info *layers, size_t count, ol_error *err)
{
	ol_autofree char *engine = NULL;
	const ol_layer_info *lazy = NULL;
	int rc;

	for (size_t i = 0; !lazy && i < count; i++)
		if (strcmp(layers[i].driver, OL_LAZY_DRIVER) == 0)
			lazy = &layers[i];
	if (!lazy)
		return OL_OK;
	ol_lazy_tell_lost(session);
	engine = engine_for(session, lazy);
	rc = have_holder(session, engine, err);
	if (rc == OL_OK)
		(void)ol_lazy_wake(session->store);
	return rc;
}

/* Names a container by its name, a mount by its folder. */
struct naming {
	const char *id;
	char text[OL_DIGEST_TEXT_MAX + 256];
};

static int name_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	struct naming *naming = ctx;

	(void)err;
	if (strcmp(info->id, naming->id) == 0)
		(void)snprintf(naming->text, sizeof naming->text, "container %.60s of %.150s",
			info->name, info->image);
	return OL_OK;
}

static int name_mount(void *ctx, const ol_mount_info *info, ol_error *err)
{
	struct naming *naming = ctx;

	(void)err;
	if (strcmp(info->id, naming->id) == 0)
		(void)snprintf(naming->text, sizeof naming->text, "what is mounted at %.200s",
			info->target);
	return OL_OK;
}

static void tell_loss(void *ctx, const ol_lazy_loss *loss)
{
	ol_session *session = ctx;
	struct naming naming = { .id = loss->user_id };

	(void)snprintf(naming.text, sizeof naming.text, "user %.12s", loss->user_id);
	(void)ol_container_each(session->store, name_container, &naming, NULL);
	(void)ol_mount_each(session->store, name_mount, &naming, NULL);
	ol_tell_text(&session->options.listener, OL_EVENT_WARNING,
		loss->zeros
			? "%s may have read zeros from layer %s, whose lazy-holder was killed: "
			  "remove it and run or mount it again"
			: "%s cannot read all of layer %s any more, whose lazy-holder was killed: "
			  "remove it and run or mount it again",
		naming.text, ol_digest_short(&loss->diff_id).text);
}

void ol_lazy_tell_lost(ol_session *session)
{
	ol_error err = { 0 };

	if (ol_lazy_lost(session->store, tell_loss, session, &err) < 0)
		ol_tell_text(&session->options.listener, OL_EVENT_WARNING,
			"whether a lazy-holder was lost cannot be told: %s", err.text);
}

int ol_lazy_holder_main(
	ol_session *session, const char *engine, bool adopt, int ready_fd, ol_error *err)
{
	ol_lazy_argv worker, holder;
	ol_error why = { 0 };
	int rc;

	ol_lazy_argv_init(&worker, session, "lazy-worker", NULL);
	ol_lazy_argv_init(&holder, session, "lazy-holder", "--adopt");
	rc = ol_lazy_hold(&(ol_lazy_hold_options){ .store = session->store,
				  .engine = engine,
				  .worker = worker.argv,
				  .holder = holder.argv,
				  .ready_fd = ready_fd,
				  .adopt = adopt },
		&why);
	ol_lazy_argv_done(&worker);
	ol_lazy_argv_done(&holder);
	/* Who started us reads it; nobody may, any more. */
	if (rc < 0 && ready_fd >= 0 && write(ready_fd, why.text, strlen(why.text)) < 0)
		why.hint[0] = '\0';
	if (rc < 0 && err)
		*err = why;
	return rc;
}

void ol_lazy_describe(ol_session *session, ol_json *object)
{
	const char *want = wanted(session->options.lazy_engine);
	const ol_lazy_engine *engine = NULL;
	ol_error err = { 0 };
	char name[16] = "", why[256] = "";

	if (!want && ol_lazy_engine_of(session->store, name, NULL) == OL_OK)
		(void)snprintf(why, sizeof why, "in use");
	else if (session->rootless)
		(void)snprintf(why, sizeof why,
			"layers are pulled whole: EROFS cannot be mounted in a user namespace");
	else if (ol_lazy_engine_choose(ol_store_root_fd(session->store),
			 want ? want : wanted(getenv("ORLOP_LAZY_ENGINE")), &engine, why,
			 &err) == OL_OK)
		(void)snprintf(name, sizeof name, "%s", engine->name);
	else
		(void)snprintf(why, sizeof why, "%.255s", err.text);
	ol_json_set_text(object, "LazyEngine", name);
	ol_json_set_text(object, "LazyEngineReason", why);
}
