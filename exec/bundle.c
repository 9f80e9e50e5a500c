#include "exec/bundle.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "exec/bundle_mounts.h"
#include "exec/bundle_priv.h"
#include "exec/capability.h"
#include "exec/environment.h"
#include "exec/stage.h"
#include "exec/unprivileged.h"

#define SHORT_ID_SIZE  12
#define HOST_NAME_SIZE 65                  /* HOST_NAME_MAX and a NUL */
#define MEMORY_MIN     ((uint64_t)6 << 20) /* Docker's: less does not start a process */
#define NANO           ((uint64_t)1000000000)
#define FILE_BYTES_MAX ((size_t)1 << 20) /* a host's resolv.conf or hosts */
#define ULIMITS_MAX    64

static size_t list_count(const char *const *list)
{
	size_t count = 0;

	while (list && list[count])
		count++;
	return count;
}

static const char *const *join(
	ol_bundle *bundle, const char *const *first, const char *const *second)
{
	size_t count = 0;
	const char **out = ol_arena_alloc(
		bundle->arena, (list_count(first) + list_count(second) + 1) * sizeof *out);

	for (; first && *first; first++)
		out[count++] = ol_arena_strdup(bundle->arena, *first);
	for (; second && *second; second++)
		out[count++] = ol_arena_strdup(bundle->arena, *second);
	return out;
}

/* Entrypoint and command: a given command replaces the image's, a given entrypoint
 * replaces both. */
static int choose_args(ol_bundle *bundle, const ol_bundle_input *input, ol_error *err)
{
	const ol_container_options *o = input->options;
	const char *const *entrypoint = input->config ? input->config->entrypoint : NULL;
	const char *const *cmd = input->config ? input->config->cmd : NULL;

	if (o->entrypoint) {
		entrypoint = o->entrypoint[0] && o->entrypoint[0][0] ? o->entrypoint : NULL;
		cmd = NULL;
	}
	if (o->args && o->args[0])
		cmd = o->args;
	bundle->args = join(bundle, entrypoint, cmd);
	if (!bundle->args[0]) {
		(void)ol_fail(err, OL_EINVAL, "no command specified");
		return ol_hint(err, OL_EINVAL,
			"the image names none: put one behind its name, as in `orlop run IMAGE "
			"sh`");
	}
	if (!bundle->args[0][0])
		return ol_fail(err, OL_EINVAL, "the command is empty");
	return OL_OK;
}

static int choose_cwd(ol_bundle *bundle, const ol_bundle_input *input, ol_error *err)
{
	const char *asked = input->options->working_dir;
	const char *image =
		input->config && input->config->working_dir ? input->config->working_dir : "";

	if (asked && asked[0] && asked[0] != '/')
		return ol_fail(err, OL_EINVAL,
			"the working directory '%s' is invalid, it needs to be an absolute path",
			asked);
	if (asked && asked[0])
		image = asked;
	if (strlen(image) + 2 > OL_PATH_MAX)
		return ol_fail(err, OL_ELIMIT, "the working directory is longer than %d bytes",
			OL_PATH_MAX);
	if (image[0] == '/') {
		bundle->cwd = ol_arena_strdup(bundle->arena, image);
	} else {
		ol_autofree char *absolute = ol_text("/%s", image);

		bundle->cwd = ol_arena_strdup(bundle->arena, absolute);
	}
	return OL_OK;
}

/* hostname(7): letters, digits, hyphens and dots; what is typed goes to /etc/hostname and into the
 * kernel. */
static int choose_hostname(ol_bundle *bundle, const ol_bundle_input *input, ol_error *err)
{
	const char *asked = input->options->hostname;
	char ours[HOST_NAME_SIZE] = "";

	if (asked && asked[0]) {
		size_t size = strspn(
			asked, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

		if (asked[size] || size >= HOST_NAME_SIZE - 1 || asked[0] == '-' || asked[0] == '.')
			return ol_fail(err, OL_EINVAL, "invalid hostname format: %.100s", asked);
		bundle->hostname = ol_arena_strdup(bundle->arena, asked);
	} else if (bundle->network == OL_NETWORK_HOST) {
		if (gethostname(ours, sizeof ours - 1) < 0)
			return ol_fail_sys(err, "hostname");
		bundle->hostname = ol_arena_strdup(bundle->arena, ours);
	} else {
		bundle->hostname = ol_arena_strndup(
			bundle->arena, input->id, strnlen(input->id, SHORT_ID_SIZE));
	}
	return OL_OK;
}

static int choose_limits(ol_bundle *bundle, const ol_container_options *o, ol_error *err)
{
	ol_bundle_limits *l = &bundle->limits;

	if (o->memory_bytes && o->memory_bytes < MEMORY_MIN)
		return ol_fail(err, OL_EINVAL, "Minimum memory limit allowed is 6MB");
	if (o->memory_swap_bytes && !o->memory_bytes)
		return ol_fail(err, OL_EINVAL, "--memory-swap needs --memory");
	if (o->memory_swap_bytes && o->memory_swap_bytes < o->memory_bytes)
		return ol_fail(err, OL_EINVAL,
			"--memory-swap counts memory and swap: it cannot be less "
			"than --memory");
	if (o->nano_cpus &&
		(o->nano_cpus < NANO / 100 || o->nano_cpus > NANO * (uint64_t)get_nprocs()))
		return ol_fail(err, OL_EINVAL,
			"Range of CPUs is from 0.01 to %d.00, as there are only %d "
			"CPUs available",
			get_nprocs(), get_nprocs());
	if (o->pids_limit < -1)
		return ol_fail(
			err, OL_EINVAL, "--pids-limit: %" PRId64 " is not a count", o->pids_limit);
	l->memory_bytes = o->memory_bytes;
	l->memory_swap_bytes = o->memory_swap_bytes;
	if (o->memory_bytes && !o->memory_swap_bytes)
		l->memory_swap_bytes =
			o->memory_bytes > UINT64_MAX / 2 ? UINT64_MAX : 2 * o->memory_bytes;
	l->nano_cpus = o->nano_cpus;
	l->cpu_shares = o->cpu_shares;
	l->pids = o->pids_limit > 0 ? o->pids_limit : 0;
	return OL_OK;
}

static int choose_rlimits(ol_bundle *bundle, const ol_container_options *o, ol_error *err)
{
	if (o->ulimit_count > ULIMITS_MAX)
		return ol_fail(err, OL_ELIMIT, "more than %d limits", ULIMITS_MAX);
	bundle->rlimits = ol_arena_alloc(bundle->arena, (o->ulimit_count + 1) * sizeof(ol_rlimit));
	for (size_t i = 0; i < o->ulimit_count; i++) {
		int rc = ol_rlimit_choose(
			&o->ulimits[i], &bundle->rlimits[bundle->rlimit_count], err);

		if (rc < 0)
			return rc;
		bundle->rlimit_count++;
	}
	return OL_OK;
}

/* --security-opt as typed: seccomp=…, no-new-privileges[=true|false]; anything else is refused by
 * name. */
static int read_security(
	ol_bundle *bundle, const ol_container_options *o, const char **seccomp, ol_error *err)
{
	*seccomp = o->seccomp;
	bundle->no_new_privileges = o->no_new_privileges;
	for (const char *const *opt = o->security_opts; opt && *opt; opt++) {
		const char *value = *opt + strcspn(*opt, "=:");
		size_t size = (size_t)(value - *opt);

		value += *value != '\0';
		if (size == 7 && strncmp(*opt, "seccomp", size) == 0 && *value)
			*seccomp = value;
		else if (size == 17 && strncmp(*opt, "no-new-privileges", size) == 0 &&
			 (!*value || strcmp(value, "true") == 0 || strcmp(value, "false") == 0))
			bundle->no_new_privileges = strcmp(value, "false") != 0;
		else
			return ol_fail(err, OL_EUNSUPPORTED,
				"--security-opt %s is not supported: seccomp=unconfined, "
				"seccomp=PROFILE.json and no-new-privileges are",
				*opt);
	}
	return OL_OK;
}

static int choose_security(ol_bundle *bundle, const ol_container_options *o, ol_error *err)
{
	const char *seccomp = NULL;
	uint64_t held = 0;
	int rc = read_security(bundle, o, &seccomp, err);

	if (rc == OL_OK)
		rc = ol_capability_held(&held, err);
	if (rc == OL_OK)
		rc = ol_capability_choose(
			o->cap_add, o->cap_drop, o->privileged, held, &bundle->capabilities, err);
	if (rc < 0)
		return rc;
	if (seccomp && strcmp(seccomp, "unconfined") == 0)
		return OL_OK;
	if (seccomp)
		return ol_seccomp_read(seccomp, bundle->capabilities, &bundle->seccomp, err);
	if (!o->privileged)
		bundle->seccomp = ol_seccomp_default(bundle->capabilities);
	return OL_OK;
}

static int choose_user(ol_bundle *bundle, const ol_bundle_input *input, ol_error *err)
{
	const char *image = input->config && input->config->user ? input->config->user : "";
	const char *asked = input->options->user;

	return ol_user_lookup(input->rootfs_fd, asked && asked[0] ? asked : image,
		input->options->group_add, &bundle->user, err);
}

static int choose_environment(ol_bundle *bundle, const ol_bundle_input *input, ol_error *err)
{
	const ol_environment_input env = {
		.hostname = bundle->hostname,
		.home = bundle->user.home,
		.image = input->config ? input->config->env : NULL,
		.asked = input->options->env,
		.tty = bundle->tty,
	};

	return ol_environment_make(&env, bundle->arena, &bundle->env, err);
}

static const ol_idmap *copy_idmap(ol_bundle *bundle, const ol_idmap *map)
{
	ol_idmap *copy;

	if (!ol_idmap_is_set(map))
		return NULL;
	copy = ol_arena_alloc(bundle->arena, sizeof *copy);
	*copy = *map;
	return copy;
}

/* What the container is run as must have a place in its user namespace, and so must the groups that
 * may ping, or the kernel refuses. */
static int check_ids(ol_bundle *bundle, ol_error *err)
{
	const ol_user *user = &bundle->user;
	ol_autofree char *groups = NULL;

	if (!bundle->idmap)
		return OL_OK;
	if (!ol_id_map_has(&bundle->idmap->uids, 0) || !ol_id_map_has(&bundle->idmap->gids, 0))
		return ol_fail(err, OL_EINVAL, "the id map has no place for user and group 0");
	if (!ol_id_map_has(&bundle->idmap->uids, user->uid))
		return ol_fail(err, OL_EINVAL, "the id map has no place for user %u", user->uid);
	if (!ol_id_map_has(&bundle->idmap->gids, user->gid))
		return ol_fail(err, OL_EINVAL, "the id map has no place for group %u", user->gid);
	for (size_t i = 0; i < user->group_count; i++)
		if (!ol_id_map_has(&bundle->idmap->gids, user->groups[i]))
			return ol_fail(err, OL_EINVAL, "the id map has no place for group %u",
				user->groups[i]);
	groups = ol_text("0 %" PRIu32, ol_id_map_last(&bundle->idmap->gids));
	bundle->ping_groups = ol_arena_strdup(bundle->arena, groups);
	return OL_OK;
}

static void copy_flags(ol_bundle *bundle, const ol_bundle_input *input)
{
	const ol_container_options *o = input->options;

	bundle->id = ol_arena_strdup(bundle->arena, input->id);
	bundle->rootfs_path = ol_arena_strdup(bundle->arena, input->rootfs_path);
	bundle->files_dir = ol_arena_strdup(bundle->arena, input->files_dir);
	bundle->network = o->network;
	bundle->idmap = copy_idmap(bundle, o->idmap);
	bundle->tty = o->tty;
	bundle->interactive = o->interactive;
	bundle->init = o->init;
	bundle->read_only = o->read_only;
	bundle->privileged = o->privileged;
	bundle->for_runtime = input->for_runtime;
}

static int fill(ol_bundle *bundle, const ol_bundle_input *input, ol_error *err)
{
	int rc;

	copy_flags(bundle, input);
	rc = ol_unprivileged_begin(bundle, err);
	if (rc == OL_OK)
		rc = choose_args(bundle, input, err);
	if (rc == OL_OK)
		rc = choose_cwd(bundle, input, err);
	if (rc == OL_OK)
		rc = choose_hostname(bundle, input, err);
	if (rc == OL_OK)
		rc = choose_user(bundle, input, err);
	if (rc == OL_OK)
		rc = ol_unprivileged_user(bundle, input->options, err);
	if (rc == OL_OK)
		rc = check_ids(bundle, err);
	if (rc == OL_OK)
		rc = choose_environment(bundle, input, err);
	if (rc == OL_OK)
		rc = choose_limits(bundle, input->options, err);
	if (rc == OL_OK)
		ol_unprivileged_limits(bundle);
	if (rc == OL_OK)
		rc = choose_rlimits(bundle, input->options, err);
	if (rc == OL_OK)
		rc = choose_security(bundle, input->options, err);
	if (rc == OL_OK)
		rc = ol_bundle_add_mounts(bundle, input->options, err);
	if (rc == OL_OK && bundle->privileged)
		rc = ol_bundle_add_devices(bundle, err);
	return rc;
}

const char *ol_bundle_note(const ol_bundle *bundle)
{
	return bundle->note;
}

void ol_bundle_free(ol_bundle *bundle)
{
	if (!bundle)
		return;
	ol_user_done(&bundle->user);
	ol_seccomp_free(bundle->seccomp);
	free(bundle->mounts);
	free(bundle->devices);
	ol_arena_free(bundle->arena);
	free(bundle);
}

int ol_bundle_new(const ol_bundle_input *input, ol_bundle **out, ol_error *err)
{
	ol_auto(ol_bundle_free) ol_bundle *bundle = ol_alloc(sizeof *bundle);
	int rc;

	bundle->arena = ol_arena_new();
	rc = fill(bundle, input, err);
	if (rc < 0)
		return rc;
	*out = ol_steal(&bundle);
	return OL_OK;
}

static int publish(int dir_fd, const char *name, const ol_buf *text, ol_error *err)
{
	int rc = ol_publish(dir_fd, name, ol_buf_view(text), 0644, OL_PUBLISH_REPLACE, err);

	return rc < 0 ? ol_wrap(err, rc, "cannot write the container's %s", name) : OL_OK;
}

/* The host's own file, or nothing where it has none. */
static int copy_host(const char *path, int dir_fd, const char *name, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(FILE_BYTES_MAX);
	int rc = ol_file_read(AT_FDCWD, path, false, &text, err);

	if (rc < 0 && rc != OL_ENOTFOUND)
		return ol_wrap(err, rc, "%s", path);
	return publish(dir_fd, name, &text, err);
}

static int write_hosts(const ol_bundle *bundle, int dir_fd, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(4096);

	if (bundle->network == OL_NETWORK_HOST)
		return copy_host("/etc/hosts", dir_fd, "hosts", err);
	(void)ol_str_add(&text, "127.0.0.1\tlocalhost\n"
				"::1\tlocalhost ip6-localhost ip6-loopback\n"
				"fe00::0\tip6-localnet\n"
				"ff00::0\tip6-mcastprefix\n"
				"ff02::1\tip6-allnodes\n"
				"ff02::2\tip6-allrouters\n");
	return publish(dir_fd, "hosts", &text, err);
}

int ol_bundle_write_files(const ol_bundle *bundle, int dir_fd, ol_error *err)
{
	ol_auto_str ol_str hostname = OL_STR(HOST_NAME_SIZE + 1);
	int rc;

	(void)ol_str_addf(&hostname, "%s\n", bundle->hostname);
	rc = publish(dir_fd, "hostname", &hostname, err);
	if (rc == OL_OK)
		rc = write_hosts(bundle, dir_fd, err);
	if (rc == OL_OK)
		rc = copy_host("/etc/resolv.conf", dir_fd, "resolv.conf", err);
	if (rc == OL_OK && bundle->init && bundle->for_runtime)
		rc = ol_publish(dir_fd, "init", ol_stage_program(), 0755, OL_PUBLISH_REPLACE, err);
	return rc;
}
