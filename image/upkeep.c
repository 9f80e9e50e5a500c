/* gc, login, logout, info. */
#include "image/upkeep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "exec/launch.h"
#include "fetch/credentials.h"
#include "image/expose.h"
#include "image/lazy.h"
#include "image/rootless_priv.h"
#include "image/session_priv.h"
#include "snapshot/rootfs.h"
#include "store/name.h"
#include "store/use.h"

static int clean_dead(void *ctx, const ol_container_info *info, ol_error *err)
{
	(void)ctx;
	(void)err;
	if (info->state == OL_CONTAINER_EXITED || !ol_process_alive(info->pid, info->pid_start))
		ol_launch_clean(info->id);
	return OL_OK;
}

int ol_collect(ol_session *session, ol_gc_result *out, ol_error *err)
{
	int rc = ol_sweep_mounts(session, err);

	if (rc == OL_OK)
		rc = ol_container_each(session->store, clean_dead, NULL, err);
	return rc < 0 ? rc : ol_gc(session->store, session->options.cancel, out, err);
}

int ol_login(ol_session *session, const char *host, const char *user, const char *password,
	char **where, ol_error *err)
{
	const ol_session_options *o = &session->options;
	ol_autofree char *creds = ol_text("%s:%s", user, password);
	const ol_registry_options options = {
		.plain_http = o->plain_http,
		.skip_tls_verify = o->skip_tls_verify,
		.cert_dir = o->cert_dir,
		.creds = creds,
		.hosts_dir = o->hosts_dir,
		.registries_conf = o->registries_conf,
		.retries = o->retries,
		.never_retry = o->retries == 0,
		.cancel = o->cancel,
		.listener = &o->listener,
	};
	ol_auto(ol_registry_free) ol_registry *registry = NULL;
	int rc = ol_registry_new(&options, &registry, err);

	if (rc == OL_OK)
		rc = ol_registry_ping(registry, host, err);
	if (rc == OL_OK)
		rc = ol_credentials_store(&(ol_credential_options){ .authfile = o->authfile }, host,
			user, password, where, err);
	explicit_bzero(creds, strlen(creds));
	return rc;
}

int ol_logout(ol_session *session, const char *host, char **where, ol_error *err)
{
	return ol_credentials_erase(
		&(ol_credential_options){ .authfile = session->options.authfile }, host, where,
		err);
}

struct totals {
	uint64_t images, containers, running, layers;
};

static int count_name(void *ctx, const ol_name_info *info, ol_error *err)
{
	(void)info;
	(void)err;
	((struct totals *)ctx)->images++;
	return OL_OK;
}

static int count_container(void *ctx, const ol_container_info *info, ol_error *err)
{
	(void)err;
	((struct totals *)ctx)->containers++;
	((struct totals *)ctx)->running += info->state == OL_CONTAINER_RUNNING;
	return OL_OK;
}

static int count_layer(void *ctx, const ol_layer_info *info, ol_error *err)
{
	(void)err;
	((struct totals *)ctx)->layers += !info->is_chain;
	return OL_OK;
}

int ol_describe(ol_session *session, ol_json **out, ol_error *err)
{
	struct totals totals = { 0 };
	const char *why = "", *driver = ol_session_driver(session, &why);
	struct statvfs space;
	struct utsname system;
	const ol_platform host = ol_platform_host();
	ol_json *json;
	int rc = ol_name_each(session->store, count_name, &totals, err);

	ol_lazy_tell_lost(session);
	if (rc == OL_OK)
		rc = ol_container_each(session->store, count_container, &totals, err);
	if (rc == OL_OK)
		rc = ol_layer_each(session->store, count_layer, &totals, err);
	if (rc < 0)
		return rc;
	if (uname(&system) < 0 || fstatvfs(ol_store_root_fd(session->store), &space) < 0)
		return ol_fail_sys(err, "info");
	json = ol_json_object();
	ol_json_set_text(json, "Version", ORLOP_VERSION);
	ol_json_set_text(json, "StoreRoot", ol_store_root(session->store));
	ol_json_set_text(json, "RunDir", ol_store_run_dir(session->store));
	ol_json_set_text(json, "StoreId", ol_store_id(session->store));
	ol_json_set_text(json, "Driver", driver ? driver : "");
	ol_json_set_text(json, "DriverReason", why);
	ol_lazy_describe(session, json);
	ol_rootless_describe(session, json);
	ol_json_set_int(json, "Images", (int64_t)totals.images);
	ol_json_set_int(json, "Containers", (int64_t)totals.containers);
	ol_json_set_int(json, "ContainersRunning", (int64_t)totals.running);
	ol_json_set_int(json, "Layers", (int64_t)totals.layers);
	ol_json_set_int(json, "SpaceFreeBytes", (int64_t)(space.f_bavail * space.f_frsize));
	ol_json_set_text(json, "KernelVersion", system.release);
	ol_json_set_text(json, "OperatingSystem", system.sysname);
	ol_json_set_text(json, "Architecture", system.machine);
	ol_json_set_text(json, "Platform", ol_platform_format(&host).text);
	ol_json_set_int(json, "NCPU", sysconf(_SC_NPROCESSORS_ONLN));
	*out = json;
	return OL_OK;
}
