/*
 * Profiles as JSON: Docker's form in (moby's profiles/seccomp), runtime-spec's form out. Docker's
 * adds conditions on the machine (includes, excludes), which are decided here, so that what goes
 * out has none.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "base/limits.h"
#include "exec/capability.h"
#include "exec/seccomp_priv.h"

/* A profile names a few hundred calls, some of them several times. */
#define RULES_MAX 4096
#define NAMES_MAX 4096

typedef struct reader {
	ol_seccomp *profile;
	uint64_t capabilities;
	uint32_t native;
} reader;

/* "amd64", "x86", … as Go names them, for includes.arches. */
static const char *go_arch(uint32_t native)
{
	static const struct {
		uint32_t token;
		const char *name;
	} map[] = {
		{ SCMP_ARCH_X86_64, "amd64" },
		{ SCMP_ARCH_X86, "x86" },
		{ SCMP_ARCH_X32, "x32" },
		{ SCMP_ARCH_AARCH64, "arm64" },
		{ SCMP_ARCH_ARM, "arm" },
		{ SCMP_ARCH_PPC64LE, "ppc64le" },
		{ SCMP_ARCH_S390X, "s390x" },
		{ SCMP_ARCH_S390, "s390" },
		{ SCMP_ARCH_RISCV64, "riscv64" },
	};

	for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
		if (map[i].token == native)
			return map[i].name;
	return "";
}

static int check_action(const char *name, const char *what, ol_error *err)
{
	bool ok = false;

	if (!name)
		return ol_fail(err, OL_EINVAL, "seccomp profile: %s is missing", what);
	if (strcmp(name, "SCMP_ACT_NOTIFY") == 0)
		return ol_fail(err, OL_EUNSUPPORTED,
			"seccomp profile: SCMP_ACT_NOTIFY needs a listener, "
			"which orlop does not have");
	(void)ol_seccomp_action(name, -1, &ok);
	if (!ok)
		return ol_fail(err, OL_EINVAL, "seccomp profile: %s: no action \"%s\"", what, name);
	return OL_OK;
}

static int add_arch(ol_seccomp *profile, const char *name, ol_error *err)
{
	if (!name || ol_seccomp_arch(name) == 0)
		return ol_fail(err, OL_EINVAL, "seccomp profile: no architecture \"%s\"",
			name ? name : "");
	for (size_t i = 0; i < profile->arch_count; i++)
		if (strcmp(profile->archs[i], name) == 0)
			return OL_OK;
	if (profile->arch_count == OL_SECCOMP_ARCHS_MAX)
		return OL_OK; /* others cannot run here anyway */
	profile->archs[profile->arch_count++] = ol_arena_strdup(profile->arena, name);
	return OL_OK;
}

/* Architectures that a kernel runs together; a profile for others says nothing here. */
static bool runs_here(uint32_t arch, uint32_t native)
{
	if (arch == native)
		return true;
	if (native == SCMP_ARCH_X86_64)
		return arch == SCMP_ARCH_X86 || arch == SCMP_ARCH_X32;
	return (native == SCMP_ARCH_AARCH64 && arch == SCMP_ARCH_ARM) ||
	       (native == SCMP_ARCH_S390X && arch == SCMP_ARCH_S390);
}

static int read_arch_list(const reader *r, const ol_json *list, ol_error *err)
{
	for (size_t i = 0; i < ol_json_count(list); i++) {
		const char *name = ol_json_text(ol_json_at(list, i));
		int rc = OL_OK;

		if (!name || ol_seccomp_arch(name) == 0 ||
			runs_here(ol_seccomp_arch(name), r->native))
			rc = add_arch(r->profile, name, err);
		if (rc < 0)
			return rc;
	}
	return OL_OK;
}

static int read_archs(const reader *r, const ol_json *root, ol_error *err)
{
	const ol_json *map = NULL, *list = NULL;
	int rc = ol_json_get_array(root, "archMap", &map, err);

	if (rc == OL_OK)
		rc = ol_json_get_array(root, "architectures", &list, err);
	if (rc == OL_OK && map && list && ol_json_count(list) && ol_json_count(map))
		rc = ol_fail(err, OL_EINVAL, "seccomp profile: both architectures and archMap");
	if (rc == OL_OK && list)
		rc = read_arch_list(r, list, err);
	for (size_t i = 0; rc == OL_OK && i < ol_json_count(map); i++) {
		const ol_json *entry = ol_json_at(map, i), *subs = NULL;
		const char *name = NULL;

		rc = ol_json_get_text(entry, "architecture", &name, err);
		if (rc == OL_OK)
			rc = ol_json_get_array(entry, "subArchitectures", &subs, err);
		if (rc < 0 || !name || ol_seccomp_arch(name) != r->native)
			continue;
		rc = add_arch(r->profile, name, err);
		if (rc == OL_OK)
			rc = read_arch_list(r, subs, err);
	}
	return rc;
}

static int parse_args(const ol_json *list, ol_seccomp_rule *rule, ol_error *err)
{
	for (size_t i = 0; i < ol_json_count(list); i++) {
		const ol_json *arg = ol_json_at(list, i);
		int64_t index = -1, value = 0, two = 0;
		const char *op = NULL;
		int rc = ol_json_get_int(arg, "index", &index, err);

		if (rc == OL_OK)
			rc = ol_json_get_int(arg, "value", &value, err);
		if (rc == OL_OK)
			rc = ol_json_get_int(arg, "valueTwo", &two, err);
		if (rc == OL_OK)
			rc = ol_json_get_text(arg, "op", &op, err);
		if (rc < 0)
			return rc;
		if (index < 0 || index >= OL_SECCOMP_ARGS_MAX ||
			rule->arg_count == OL_SECCOMP_ARGS_MAX)
			return ol_fail(
				err, OL_EINVAL, "seccomp profile: a call has arguments 0 to 5");
		if (!op || ol_seccomp_op(op) == 0)
			return ol_fail(err, OL_EINVAL, "seccomp profile: no comparison \"%s\"",
				op ? op : "");
		rule->args[rule->arg_count++] = (ol_seccomp_arg){
			.index = (unsigned)index,
			.value = (uint64_t)value,
			.value_two = (uint64_t)two,
			.op = op,
		};
	}
	return OL_OK;
}

/* "5.10" against the running kernel. */
static bool kernel_at_least(const char *want)
{
	struct utsname name;
	unsigned long w[2] = { 0 }, h[2] = { 0 };
	char *end;

	if (uname(&name) < 0)
		return false;
	w[0] = strtoul(want, &end, 10);
	w[1] = *end == '.' ? strtoul(end + 1, &end, 10) : 0;
	h[0] = strtoul(name.release, &end, 10);
	h[1] = *end == '.' ? strtoul(end + 1, &end, 10) : 0;
	return h[0] > w[0] || (h[0] == w[0] && h[1] >= w[1]);
}

typedef struct condition {
	bool has_caps, all_caps, any_cap;
	bool has_archs, arch;
	bool has_kernel, kernel;
} condition;

static int read_condition(
	const reader *r, const ol_json *syscall, const char *key, condition *out, ol_error *err)
{
	const ol_json *object = NULL, *caps = NULL, *list = NULL;
	const char *kernel = NULL;
	int rc = ol_json_get_object(syscall, key, &object, err);

	if (rc == OL_OK)
		rc = ol_json_get_array(object, "caps", &caps, err);
	if (rc == OL_OK)
		rc = ol_json_get_array(object, "arches", &list, err);
	if (rc == OL_OK)
		rc = ol_json_get_text(object, "minKernel", &kernel, err);
	if (rc < 0)
		return rc;
	*out = (condition){ .has_caps = ol_json_count(caps) > 0,
		.all_caps = true,
		.has_archs = ol_json_count(list) > 0,
		.has_kernel = kernel != NULL,
		.kernel = kernel && kernel_at_least(kernel) };
	for (size_t i = 0; i < ol_json_count(caps); i++) {
		const char *name = ol_json_text(ol_json_at(caps, i));
		int found = name ? ol_capability_find(name) : -1;
		bool held = found >= 0 && (r->capabilities & ol_capability_bit(found));

		out->all_caps = out->all_caps && held;
		out->any_cap = out->any_cap || held;
	}
	for (size_t i = 0; i < ol_json_count(list); i++) {
		const char *name = ol_json_text(ol_json_at(list, i));

		out->arch = out->arch || (name && strcmp(name, go_arch(r->native)) == 0);
	}
	return OL_OK;
}

static int applies(const reader *r, const ol_json *syscall, bool *out, ol_error *err)
{
	condition in = { .has_caps = false }, ex = in;
	int rc = read_condition(r, syscall, "includes", &in, err);

	if (rc == OL_OK)
		rc = read_condition(r, syscall, "excludes", &ex, err);
	if (rc < 0)
		return rc;
	*out = (!in.has_caps || in.all_caps) && (!in.has_archs || in.arch) &&
	       (!in.has_kernel || in.kernel) && !(ex.has_caps && ex.any_cap) &&
	       !(ex.has_archs && ex.arch) && !(ex.has_kernel && ex.kernel);
	return OL_OK;
}

static int read_names(
	const reader *r, const ol_json *syscall, const char *const **out, ol_error *err)
{
	const ol_json *list = NULL;
	const char *single = NULL, **names;
	size_t count = 0;
	int rc = ol_json_get_text(syscall, "name", &single, err);

	if (rc == OL_OK)
		rc = ol_json_get_array(syscall, "names", &list, err);
	if (rc < 0)
		return rc;
	if ((single != NULL) == (ol_json_count(list) > 0))
		return ol_fail(err, OL_EINVAL,
			"seccomp profile: an entry of syscalls needs either name or names");
	if (ol_json_count(list) > NAMES_MAX)
		return ol_fail(err, OL_ELIMIT, "seccomp profile: more than %d names", NAMES_MAX);
	names = ol_arena_alloc(r->profile->arena, (ol_json_count(list) + 2) * sizeof *names);
	if (single)
		names[count++] = ol_arena_strdup(r->profile->arena, single);
	for (size_t i = 0; i < ol_json_count(list); i++) {
		const char *name = ol_json_text(ol_json_at(list, i));

		if (!name)
			return ol_fail(
				err, OL_EINVAL, "seccomp profile: a name that is not a string");
		names[count++] = ol_arena_strdup(r->profile->arena, name);
	}
	*out = names;
	return OL_OK;
}

static int check_errno(int64_t value, ol_error *err)
{
	if (value < -1 || value > 4095) /* MAX_ERRNO */
		return ol_fail(
			err, OL_EINVAL, "seccomp profile: errno %lld is not one", (long long)value);
	return OL_OK;
}

static int read_rule(const reader *r, const ol_json *syscall, ol_error *err)
{
	ol_seccomp_rule rule = { .errno_ret = -1 }, *slot;
	const ol_json *args = NULL;
	const char *action = NULL;
	int64_t errno_ret = -1;
	bool wanted = false;
	int rc = applies(r, syscall, &wanted, err);

	if (rc == OL_OK)
		rc = read_names(r, syscall, &rule.names, err);
	if (rc == OL_OK)
		rc = ol_json_get_text(syscall, "action", &action, err);
	if (rc == OL_OK)
		rc = check_action(action, "action", err);
	if (rc == OL_OK)
		rc = ol_json_get_int(syscall, "errnoRet", &errno_ret, err);
	if (rc == OL_OK)
		rc = check_errno(errno_ret, err);
	if (rc == OL_OK)
		rc = ol_json_get_array(syscall, "args", &args, err);
	if (rc == OL_OK)
		rc = parse_args(args, &rule, err);
	if (rc < 0 || !wanted)
		return rc;
	rule.action = ol_arena_strdup(r->profile->arena, action);
	rule.errno_ret = (int)errno_ret;
	for (size_t i = 0; i < rule.arg_count; i++)
		rule.args[i].op = ol_arena_strdup(r->profile->arena, rule.args[i].op);
	slot = ol_seccomp_add(r->profile);
	*slot = rule;
	return OL_OK;
}

static int read_profile(const reader *r, const ol_json *root, ol_error *err)
{
	const ol_json *list = NULL;
	const char *action = NULL;
	int64_t errno_ret = -1;
	int rc = ol_json_get_text(root, "defaultAction", &action, err);

	if (rc == OL_OK)
		rc = check_action(action, "defaultAction", err);
	if (rc == OL_OK)
		rc = ol_json_get_int(root, "defaultErrnoRet", &errno_ret, err);
	if (rc == OL_OK)
		rc = check_errno(errno_ret, err);
	if (rc == OL_OK)
		rc = read_archs(r, root, err);
	if (rc == OL_OK)
		rc = ol_json_get_array(root, "syscalls", &list, err);
	if (rc < 0)
		return rc;
	if (ol_json_count(list) > RULES_MAX)
		return ol_fail(err, OL_ELIMIT, "seccomp profile: more than %d rules", RULES_MAX);
	r->profile->default_action = ol_arena_strdup(r->profile->arena, action);
	r->profile->default_errno = (int)errno_ret;
	for (size_t i = 0; rc == OL_OK && i < ol_json_count(list); i++)
		rc = read_rule(r, ol_json_at(list, i), err);
	return rc;
}

int ol_seccomp_parse(ol_view json, uint64_t capabilities, ol_seccomp **out, ol_error *err)
{
	ol_auto(ol_seccomp_free) ol_seccomp *profile = NULL;
	ol_auto(ol_json_free) ol_json *root = NULL;
	reader r = { .capabilities = capabilities, .native = seccomp_arch_native() };
	int rc = ol_json_parse(json, &root, err);

	if (rc < 0)
		return ol_wrap(err, rc, "seccomp profile");
	if (!ol_json_is_object(root))
		return ol_fail(err, OL_EINVAL, "seccomp profile: not a JSON object");
	r.profile = profile = ol_seccomp_new();
	rc = read_profile(&r, root, err);
	if (rc < 0)
		return rc;
	*out = ol_steal(&profile);
	return OL_OK;
}

int ol_seccomp_read(const char *path, uint64_t capabilities, ol_seccomp **out, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_CONFIG_FILE_BYTES_MAX);
	int rc = ol_file_read(AT_FDCWD, path, false, &bytes, err);

	if (rc == OL_OK)
		rc = ol_seccomp_parse(ol_buf_view(&bytes), capabilities, out, err);
	return rc < 0 ? ol_wrap(err, rc, "--security-opt seccomp=%s", path) : OL_OK;
}

static ol_json *strings(const char *const *list)
{
	ol_json *array = ol_json_array();

	for (; *list; list++)
		ol_json_push(array, ol_json_string(*list));
	return array;
}

static ol_json *rule_json(const ol_seccomp_rule *rule)
{
	ol_json *object = ol_json_object();

	ol_json_set(object, "names", strings(rule->names));
	ol_json_set_text(object, "action", rule->action);
	if (rule->errno_ret >= 0)
		ol_json_set_int(object, "errnoRet", rule->errno_ret);
	if (rule->arg_count > 0) {
		ol_json *args = ol_json_array();

		for (size_t i = 0; i < rule->arg_count; i++) {
			ol_json *arg = ol_json_object();

			ol_json_set_int(arg, "index", rule->args[i].index);
			ol_json_set_int(arg, "value", (int64_t)rule->args[i].value);
			if (rule->args[i].value_two != 0)
				ol_json_set_int(arg, "valueTwo", (int64_t)rule->args[i].value_two);
			ol_json_set_text(arg, "op", rule->args[i].op);
			ol_json_push(args, arg);
		}
		ol_json_set(object, "args", args);
	}
	return object;
}

static bool is_named(const ol_seccomp *profile, const char *name)
{
	for (size_t i = 0; i < profile->rule_count; i++)
		for (const char *const *n = profile->rules[i].names; *n; n++)
			if (strcmp(*n, name) == 0)
				return true;
	return false;
}

/*
 * Not every runtime answers ENOSYS to what is newer than the profile. So the profile that other
 * runtimes get says it in its own words: ENOSYS by default, and EPERM for each call that is known
 * and not allowed.
 */
static ol_json *refused(const ol_seccomp *profile)
{
	enum { NUMBERS_MAX = 1024 };
	ol_json *object = ol_json_object(), *names = ol_json_array();

	for (int nr = 0; nr < NUMBERS_MAX; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), nr);

		if (name && !is_named(profile, name))
			ol_json_push(names, ol_json_string(name));
		free(name);
	}
	ol_json_set(object, "names", names);
	ol_json_set_text(object, "action", "SCMP_ACT_ERRNO");
	ol_json_set_int(object, "errnoRet", EPERM);
	return object;
}

ol_json *ol_seccomp_json(const ol_seccomp *profile)
{
	ol_json *object = ol_json_object(), *list = ol_json_array(), *archs = ol_json_array();
	int otherwise = profile->ours ? ENOSYS : profile->default_errno;

	ol_json_set_text(object, "defaultAction", profile->default_action);
	if (otherwise >= 0)
		ol_json_set_int(object, "defaultErrnoRet", otherwise);
	for (size_t i = 0; i < profile->arch_count; i++)
		ol_json_push(archs, ol_json_string(profile->archs[i]));
	ol_json_set(object, "architectures", archs);
	for (size_t i = 0; i < profile->rule_count; i++)
		ol_json_push(list, rule_json(&profile->rules[i]));
	if (profile->ours)
		ol_json_push(list, refused(profile));
	ol_json_set(object, "syscalls", list);
	return object;
}
