#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "exec/bundle.h"
#include "tests/check.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char image[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":"
			    "\"layers\",\"diff_ids\":[]},"
			    "\"config\":{\"User\":\"7:8\",\"Env\":[\"A=image\"],\"Entrypoint\":[\"/"
			    "entry\"],\"Cmd\":[\"one\",\"two\"],"
			    "\"WorkingDir\":\"/work\",\"Volumes\":{\"/../../etc\":{}}}}";

typedef struct box {
	char path[64];
	int dir_fd;
	ol_config *config;
} box;

static void box_init(box *b)
{
	(void)snprintf(b->path, sizeof b->path, "/tmp/orlop-bundle.XXXXXX");
	assert_non_null(mkdtemp(b->path));
	b->dir_fd = open(b->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_int_equal(OL_OK, ol_config_parse(ol_view_of(image), &b->config, NULL));
}

static void box_done(box *b)
{
	ol_config_free(b->config);
	(void)close(b->dir_fd);
	assert_int_equal(OL_OK, ol_remove_tree(AT_FDCWD, b->path, NULL));
}

static int make(const box *b, const ol_container_options *options, ol_bundle **out, ol_error *err)
{
	const ol_bundle_input input = { .options = options,
		.config = b->config,
		.rootfs_fd = b->dir_fd,
		.rootfs_path = "/the/root",
		.id = ID,
		.files_dir = "/the/files" };

	return ol_bundle_new(&input, out, err);
}

/* A member by path, "process.env.0", as compact text. */
static void member(const ol_json *root, const char *path, char *text, size_t size)
{
	ol_auto_str ol_str out = OL_STR((size_t)1 << 20);
	char name[64];

	while (*path && root) {
		size_t n = strcspn(path, ".");

		(void)snprintf(name, sizeof name, "%.*s", (int)n, path);
		root = ol_json_is_array(root) ? ol_json_at(root, strtoul(name, NULL, 10))
					      : ol_json_get(root, name);
		path += n + (path[n] == '.');
	}
	if (root)
		assert_int_equal(OL_OK, ol_json_format(root, OL_JSON_COMPACT, &out, NULL));
	(void)snprintf(text, size, "%s", root ? ol_str_text(&out) : "-");
}

typedef struct wanted {
	const char *path, *want;
} wanted;

static void check_members(const box *b, const ol_container_options *options, const wanted *list)
{
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_auto_str ol_str text = OL_STR((size_t)1 << 20);
	ol_error err = { .code = 0 };

	CHECK_INT(err.text, OL_OK, make(b, options, &bundle, &err));
	assert_int_equal(OL_OK, ol_bundle_format(bundle, &text, &err));
	assert_int_equal(OL_OK, ol_json_parse(ol_buf_view(&text), &json, &err));
	for (; list->path; list++) {
		char got[4096];

		member(json, list->path, got, sizeof got);
		CHECK_STR(list->path, list->want, got);
	}
}

static void the_defaults_are_dockers(void **state)
{
	static const wanted list[] = {
		{ "ociVersion", "\"1.0.2\"" },
		{ "process.terminal", "false" },
		{ "process.user", "{\"uid\":7,\"gid\":8,\"umask\":18,\"additionalGids\":[8]}" },
		{ "process.args", "[\"/entry\",\"one\",\"two\"]" },
		{ "process.env",
			"[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
			"\"HOSTNAME=0123456789ab\",\"A=image\",\"HOME=/\"]" },
		{ "process.cwd", "\"/work\"" },
		{ "process.noNewPrivileges", "false" },
		{ "process.capabilities.effective", "[]" }, /* uid 7 */
		{ "process.capabilities.inheritable", "-" },
		{ "process.rlimits", "-" },
		{ "root", "{\"path\":\"/the/root\",\"readonly\":false}" },
		{ "hostname", "\"0123456789ab\"" },
		{ "mounts.0", "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\","
			      "\"options\":[\"nosuid\",\"noexec\",\"nodev\"]}" },
		{ "mounts.1.options", "[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]" },
		{ "mounts.3.options", "[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]" },
		{ "mounts.6.options",
			"[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=67108864\"]" },
		{ "mounts.9", "{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"source\":\"/the/"
			      "files/hosts\","
			      "\"options\":[\"rbind\",\"rprivate\"]}" },
		{ "mounts.10", "-" }, /* the image's volume is nobody's mount */
		{ "linux.cgroupsPath", "\"/orlop/" ID "\"" },
		{ "linux.maskedPaths.0", "\"/proc/asound\"" },
		{ "linux.readonlyPaths.4", "\"/proc/sysrq-trigger\"" },
		{ "linux.seccomp.defaultAction", "\"SCMP_ACT_ERRNO\"" },
		{ "linux.resources.devices.0", "{\"allow\":false,\"access\":\"rwm\"}" },
		{ "linux.namespaces.4", "{\"type\":\"network\"}" },
		{ NULL, NULL },
	};
	const ol_container_options options = { .args = NULL };
	box b;

	(void)state;
	box_init(&b);
	check_members(&b, &options, list);
	box_done(&b);
}

static void each_flag_shows(void **state)
{
	static const char *const args[] = { "cmd", NULL }, *const entrypoint[] = { "/mine", NULL };
	static const char *const env[] = { "A=mine", "HOME=/h", NULL };
	static const ol_mount_option mounts[] = {
		{ "bind", "/tmp", "/inner/b", true, "", false },
		{ "tmpfs", NULL, "/t", false, "size=1m,exec", false },
		{ "tmpfs", NULL, "/dev/shm", false, "", false },
	};
	static const ol_ulimit ulimits[] = { { "nofile", 10, 20 } };
	const ol_container_options options = { .args = args,
		.entrypoint = entrypoint,
		.env = env,
		.user = "1:2",
		.working_dir = "/w",
		.hostname = "name",
		.tty = true,
		.init = true,
		.read_only = true,
		.no_new_privileges = true,
		.mounts = mounts,
		.mount_count = 3,
		.ulimits = ulimits,
		.ulimit_count = 1,
		.memory_bytes = (uint64_t)64 << 20,
		.nano_cpus = 500000000,
		.pids_limit = 9,
		.network = OL_NETWORK_HOST,
		.seccomp = "unconfined" };
	static const wanted list[] = {
		{ "process.terminal", "true" },
		{ "process.args", "[\"/dev/init\",\"--\",\"/mine\",\"cmd\"]" },
		{ "process.env.2", "\"TERM=xterm\"" },
		{ "process.env.3", "\"A=mine\"" },
		{ "process.env.4", "\"HOME=/h\"" },
		{ "process.env.5", "-" },
		{ "process.user.gid", "2" },
		{ "process.cwd", "\"/w\"" },
		{ "process.noNewPrivileges", "true" },
		{ "process.rlimits", "[{\"type\":\"RLIMIT_NOFILE\",\"hard\":20,\"soft\":10}]" },
		{ "root.readonly", "true" },
		{ "hostname", "\"name\"" },
		{ "mounts.6", "{\"destination\":\"/t\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
			      "\"options\":[\"nosuid\",\"nodev\",\"size=1m\",\"exec\"]}" },
		{ "mounts.7.destination", "\"/inner/b\"" }, /* deeper, so later */
		{ "mounts.7.options", "[\"rbind\",\"ro\",\"rprivate\"]" },
		{ "mounts.8.destination", "\"/dev/shm\"" },
		{ "mounts.11.options", "[\"rbind\",\"ro\",\"rprivate\"]" },
		{ "mounts.12.destination", "\"/dev/init\"" },
		{ "linux.resources.memory", "{\"limit\":67108864,\"swap\":134217728}" },
		{ "linux.resources.cpu", "{\"quota\":50000,\"period\":100000}" },
		{ "linux.resources.pids", "{\"limit\":9}" },
		{ "linux.sysctl", "-" },
		{ "linux.seccomp", "-" },
		{ NULL, NULL },
	};
	box b;

	(void)state;
	box_init(&b);
	check_members(&b, &options, list);
	box_done(&b);
}

static void privileged_hides_nothing(void **state)
{
	const ol_container_options options = { .privileged = true };
	static const wanted list[] = {
		{ "linux.seccomp", "-" },
		{ "linux.maskedPaths", "-" },
		{ "linux.readonlyPaths", "-" },
		{ "linux.resources.devices", "[{\"allow\":true,\"access\":\"rwm\"}]" },
		{ "mounts.3.options", "[\"nosuid\",\"noexec\",\"nodev\"]" },
		{ NULL, NULL },
	};
	box b;

	(void)state;
	box_init(&b);
	check_members(&b, &options, list);
	box_done(&b);
}

static void the_command_is_put_together_as_the_spec_says(void **state)
{
	static const struct {
		const char *name;
		const char *args[3], *entrypoint[2];
		int has_entrypoint;
		const char *want;
	} cases[] = {
		{ "the image's", { NULL }, { NULL }, 0, "[\"/entry\",\"one\",\"two\"]" },
		{ "a command", { "x", "y" }, { NULL }, 0, "[\"/entry\",\"x\",\"y\"]" },
		{ "an entrypoint", { NULL }, { "/e" }, 1, "[\"/e\"]" },
		{ "both", { "x" }, { "/e" }, 1, "[\"/e\",\"x\"]" },
		{ "a cleared entrypoint", { "x" }, { "" }, 1, "[\"x\"]" },
	};
	box b;

	(void)state;
	box_init(&b);
	OL_EACH (cases, c) {
		const ol_container_options options = { .args = c->args,
			.entrypoint = c->has_entrypoint ? c->entrypoint : NULL };
		const wanted list[] = { { "process.args", c->want }, { NULL, NULL } };

		check_members(&b, &options, list);
	}
	box_done(&b);
}

static void what_cannot_be_is_refused_by_name(void **state)
{
	static const char *const cleared[] = { "", NULL },
				 *const apparmor[] = { "apparmor=x", NULL },
				 *const label[] = { "label:disable", NULL },
				 *const caps[] = { "NOPE", NULL };
	static const ol_mount_option at_root = { "tmpfs", NULL, "/", false, "", false },
				     relative = { "tmpfs", NULL, "t", false, "", false },
				     missing = { "bind", "/nowhere/at/all", "/x", false, "",
					     false },
				     shared = { "bind", "/tmp", "/x", false, "rshared", false },
				     volume = { "volume", "v", "/x", false, "", false },
				     proc = { "bind", "/tmp", "/proc/x", false, "", false };
	static const ol_ulimit unknown = { "nothing", 1, 1 };
	static const struct {
		const char *name, *words;
		ol_container_options options;
		int rc;
	} cases[] = {
		{ "no command", "no command", { .entrypoint = cleared }, OL_EINVAL },
		{ "relative cwd", "'here'", { .working_dir = "here" }, OL_EINVAL },
		{ "user", "nobody", { .user = "nobody" }, OL_EINVAL },
		{ "hostname", "a b", { .hostname = "a b" }, OL_EINVAL },
		{ "hostname with a newline", "invalid hostname", { .hostname = "a\nb" },
			OL_EINVAL },
		{ "capability", "NOPE", { .cap_add = caps }, OL_EINVAL },
		{ "apparmor", "apparmor=x", { .security_opts = apparmor }, OL_EUNSUPPORTED },
		{ "label", "label:disable", { .security_opts = label }, OL_EUNSUPPORTED },
		{ "profile", "/nowhere.json", { .seccomp = "/nowhere.json" }, OL_ENOTFOUND },
		{ "little memory", "6MB", { .memory_bytes = 4096 }, OL_EINVAL },
		{ "cpus", "CPUs", { .nano_cpus = (uint64_t)1 << 60 }, OL_EINVAL },
		{ "pids", "--pids-limit", { .pids_limit = -7 }, OL_EINVAL },
		{ "ulimit", "nothing", { .ulimits = &unknown, .ulimit_count = 1 }, OL_EINVAL },
		{ "mount at /", "'/'", { .mounts = &at_root, .mount_count = 1 }, OL_EINVAL },
		{ "relative target", "absolute", { .mounts = &relative, .mount_count = 1 },
			OL_EINVAL },
		{ "missing source", "/nowhere/at/all", { .mounts = &missing, .mount_count = 1 },
			OL_EINVAL },
		{ "shared", "rshared", { .mounts = &shared, .mount_count = 1 }, OL_EUNSUPPORTED },
		{ "type", "volume", { .mounts = &volume, .mount_count = 1 }, OL_EUNSUPPORTED },
		{ "in /proc", "/proc", { .mounts = &proc, .mount_count = 1 }, OL_EINVAL },
	};
	box b;

	(void)state;
	box_init(&b);
	OL_EACH (cases, c) {
		ol_bundle *bundle = NULL;
		ol_error err = { .code = 0 };

		CHECK_INT(c->name, c->rc, make(&b, &c->options, &bundle, &err));
		assert_null(bundle);
		if (!strstr(err.text, c->words))
			CHECK_STR(c->name, c->words, err.text);
	}
	box_done(&b);
}

static void read_text(int dir_fd, const char *name, char *text, size_t size)
{
	ol_auto_buf ol_buf bytes = OL_BUF((size_t)1 << 20);

	assert_int_equal(OL_OK, ol_file_read(dir_fd, name, true, &bytes, NULL));
	(void)snprintf(text, size, "%s", ol_str_text(&bytes));
}

static void the_files_of_etc_are_written(void **state)
{
	const ol_container_options options = { .hostname = "name" };
	ol_auto(ol_bundle_free) ol_bundle *bundle = NULL;
	char text[4096];
	box b;

	(void)state;
	box_init(&b);
	assert_int_equal(OL_OK, make(&b, &options, &bundle, NULL));
	assert_int_equal(OL_OK, ol_bundle_write_files(bundle, b.dir_fd, NULL));
	read_text(b.dir_fd, "hostname", text, sizeof text);
	assert_string_equal("name\n", text);
	read_text(b.dir_fd, "hosts", text, sizeof text);
	assert_non_null(strstr(text, "127.0.0.1\tlocalhost\n"));
	assert_int_equal(0, faccessat(b.dir_fd, "resolv.conf", R_OK, 0));
	box_done(&b);
}

static void an_id_map_asks_for_a_user_namespace(void **state)
{
	static const wanted list[] = {
		{ "linux.namespaces.0", "{\"type\":\"user\"}" },
		{ "linux.uidMappings", "[{\"containerID\":0,\"hostID\":100000,\"size\":10}]" },
		{ "linux.gidMappings",
			"[{\"containerID\":0,\"hostID\":5,\"size\":2},{\"containerID\":8,"
			"\"hostID\":50,\"size\":1}]" },
		{ "linux.sysctl.net.ipv4.ping_group_range", "-" }, /* its name has dots */
		{ "mounts.2.options", /* without gid=5, which has no place */
			"[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\"]" },
		{ NULL, NULL },
	};
	static const struct {
		const char *map, *user, *said;
	} refused[] = {
		{ "0:100000:7", "7:0", "no place for user 7" },
		{ "0:100000:8:0:5:8", "7:8", "no place for group 8" },
		{ "1:100000:8", "7:8", "no place for user and group 0" },
		{ "0:100000:8:1:5:8", "7:8", "no place for user and group 0" },
	};
	box b;
	ol_idmap map;
	ol_container_options options = { .idmap = &map };

	(void)state;
	box_init(&b);
	assert_int_equal(OL_OK, ol_idmap_parse("0:100000:10:0:5:2,8:50:1", &map, NULL));
	check_members(&b, &options, list);
	OL_EACH (refused, r) {
		ol_bundle *bundle = NULL;
		ol_error err = { 0 };

		options.user = r->user;
		assert_int_equal(OL_OK, ol_idmap_parse(r->map, &map, NULL));
		CHECK_INT(r->map, OL_EINVAL, make(&b, &options, &bundle, &err));
		if (!strstr(err.text, r->said))
			CHECK_STR(r->map, r->said, err.text);
	}
	box_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_dockers),
		cmocka_unit_test(an_id_map_asks_for_a_user_namespace),
		cmocka_unit_test(each_flag_shows),
		cmocka_unit_test(privileged_hides_nothing),
		cmocka_unit_test(the_command_is_put_together_as_the_spec_says),
		cmocka_unit_test(what_cannot_be_is_refused_by_name),
		cmocka_unit_test(the_files_of_etc_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
