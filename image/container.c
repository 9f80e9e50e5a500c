/* ps, rm, inspect of containers. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "exec/launch.h"
#include "image/container_priv.h"
#include "image/lazy.h"

struct filter {
	bool all;
	int (*call)(void *ctx, const ol_container_info *info, ol_error *err);
	void *ctx;
};

static int see(void *ctx, const ol_container_info *info, ol_error *err)
{
	const struct filter *filter = ctx;

	return filter->all || info->state == OL_CONTAINER_RUNNING
		       ? filter->call(filter->ctx, info, err)
		       : OL_OK;
}

int ol_list_containers(ol_session *session, bool all,
	int (*call)(void *ctx, const ol_container_info *info, ol_error *err), void *ctx,
	ol_error *err)
{
	struct filter filter = { all, call, ctx };

	ol_lazy_tell_lost(session);
	return ol_container_each(session->store, see, &filter, err);
}

#define KILL_WAIT_MS 10000

/* Ends the orlop that runs the container; the container's first process is bound to die with it. */
static int kill_supervisor(const ol_container_info *info, ol_error *err)
{
	uint64_t since = ol_now_ms();

	if (kill(info->pid, SIGKILL) < 0 && errno != ESRCH)
		return ol_fail_sys(err, "kill process %d", info->pid);
	while (ol_process_alive(info->pid, info->pid_start)) {
		if (ol_now_ms() - since > KILL_WAIT_MS)
			return ol_fail(err, OL_EBUSY, "process %d does not end", info->pid);
		ol_sleep_ms(10);
	}
	return OL_OK;
}

static int no_such_container(const char *name, ol_error *err)
{
	ol_fail(err, OL_ENOTFOUND, "No such container: %.255s", name);
	return ol_hint(err, OL_ENOTFOUND, "`orlop ps -a` lists those there are");
}

int ol_remove_container(ol_session *session, const char *name, bool force, ol_error *err)
{
	ol_autofree char *dir = NULL, *rootfs = NULL;
	ol_container_info info = { 0 };
	int rc = ol_container_get(session->store, name, &info, err);

	if (rc < 0)
		return rc == OL_ENOTFOUND ? no_such_container(name, err) : rc;
	if (info.state != OL_CONTAINER_EXITED && ol_process_alive(info.pid, info.pid_start)) {
		if (!force) {
			ol_fail(err, OL_EBUSY,
				"cannot remove container \"%s\": container is running", info.name);
			rc = ol_hint(
				err, OL_EBUSY, "stop it before removing it, or force it with -f");
		} else {
			rc = kill_supervisor(&info, err);
		}
	}
	if (rc == OL_OK)
		ol_launch_clean(info.id);
	dir = ol_text("containers/%s", info.id);
	rootfs = ol_text("%s/%s/rootfs", ol_store_root(session->store), dir);
	if (rc == OL_OK)
		rc = ol_rootfs_unmount(session->store, info.id, rootfs, err);
	if (rc == OL_OK)
		rc = ol_remove_tree(ol_store_root_fd(session->store), dir, err);
	if (rc == OL_OK)
		rc = ol_container_remove(session->store, info.id, err);
	ol_container_info_done(&info);
	return rc;
}

static void set_time(ol_json *json, const char *key, int64_t seconds)
{
	/* Docker's word for "not yet". */
	ol_json_set_text(json, key,
		seconds ? ol_time_format(&(struct timespec){ .tv_sec = seconds }).text
			: "0001-01-01T00:00:00Z");
}

static ol_json *state_json(const ol_container_info *info)
{
	static const char *const words[] = {
		[OL_CONTAINER_CREATED] = "created",
		[OL_CONTAINER_RUNNING] = "running",
		[OL_CONTAINER_EXITED] = "exited",
	};
	ol_json *json = ol_json_object();

	ol_json_set_text(json, "Status", words[info->state]);
	ol_json_set_bool(json, "Running", info->state == OL_CONTAINER_RUNNING);
	ol_json_set_int(json, "Pid", info->state == OL_CONTAINER_RUNNING ? info->pid : 0);
	ol_json_set_int(json, "ExitCode", info->exit_status);
	set_time(json, "StartedAt", info->started);
	set_time(json, "FinishedAt", info->finished);
	return json;
}

int ol_inspect_container(ol_session *session, const char *name, ol_json **out, ol_error *err)
{
	ol_autofree char *slashed = NULL;
	ol_container_info info = { 0 };
	ol_json *json, *config;
	int rc = ol_container_get(session->store, name, &info, err);

	if (rc < 0)
		return rc == OL_ENOTFOUND ? no_such_container(name, err) : rc;
	json = ol_json_object();
	slashed = ol_text("/%s", info.name);
	ol_json_set_text(json, "Id", info.id);
	set_time(json, "Created", info.created);
	ol_json_set(json, "State", state_json(&info));
	ol_json_set_text(json, "Image", ol_digest_format(&info.config).text);
	ol_json_set_text(json, "Name", slashed);
	config = ol_json_object();
	ol_json_set_text(config, "Image", info.image);
	ol_json_set(json, "Config", config);
	ol_json_set_text(json, "Command", info.command);
	*out = json;
	ol_container_info_done(&info);
	return OL_OK;
}
