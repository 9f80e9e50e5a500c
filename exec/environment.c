#include "exec/environment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* execve takes 2 MiB of arguments and environment with the usual 8 MiB stack: past that nothing
 * starts. */
#define ENV_BYTES_MAX ((size_t)2 << 20)
#define ENV_COUNT_MAX 16384

typedef struct env_list {
	ol_arena *arena;
	const char **list; /* owned; slots of removed entries are closed up */
	size_t count, cap, bytes;
} env_list;

static size_t name_size(const char *entry)
{
	return strcspn(entry, "=");
}

static size_t find(const env_list *env, const char *entry)
{
	size_t size = name_size(entry), i = 0;

	while (i < env->count &&
		(name_size(env->list[i]) != size || strncmp(env->list[i], entry, size) != 0))
		i++;
	return i;
}

static int put(env_list *env, const char *entry, ol_error *err)
{
	size_t at = find(env, entry), size = strlen(entry);

	if (name_size(entry) == 0)
		return ol_fail(
			err, OL_EINVAL, "an environment variable has no name: \"%.40s\"", entry);
	if (env->count >= ENV_COUNT_MAX || size > ENV_BYTES_MAX - env->bytes)
		return ol_fail(err, OL_ELIMIT, "the environment is larger than the kernel accepts");
	env->bytes += size + 1 + sizeof(char *);
	if (at == env->count) {
		OL_GROW(env->list, env->count, env->cap);
		env->count++;
	}
	env->list[at] = ol_arena_strdup(env->arena, entry);
	return OL_OK;
}

static int put_pair(env_list *env, const char *name, const char *value, ol_error *err)
{
	ol_autofree char *entry = ol_text("%s=%s", name, value);

	return put(env, entry, err);
}

static void drop(env_list *env, const char *name)
{
	size_t at = find(env, name);

	if (at == env->count)
		return;
	for (size_t i = at + 1; i < env->count; i++)
		env->list[i - 1] = env->list[i];
	env->count--;
}

static int put_asked(
	env_list *env, const char *entry, const ol_environment_input *input, ol_error *err)
{
	const char *value;

	if (strchr(entry, '='))
		return put(env, entry, err);
	value = input->ours ? input->ours(entry) : getenv(entry);
	if (value)
		return put_pair(env, entry, value, err);
	drop(env, entry);
	return OL_OK;
}

static int fill(env_list *env, const ol_environment_input *input, ol_error *err)
{
	int rc = put_pair(env, "PATH", OL_PATH_DEFAULT, err);

	if (rc == OL_OK)
		rc = put_pair(env, "HOSTNAME", input->hostname, err);
	if (rc == OL_OK && input->tty)
		rc = put_pair(env, "TERM", "xterm", err);
	for (const char *const *e = input->image; rc == OL_OK && e && *e; e++)
		rc = strchr(*e, '=') ? put(env, *e, err) : OL_OK;
	for (const char *const *e = input->asked; rc == OL_OK && e && *e; e++)
		rc = put_asked(env, *e, input, err);
	if (rc == OL_OK && find(env, "HOME") == env->count)
		rc = put_pair(env, "HOME", input->home, err);
	return rc;
}

int ol_environment_make(
	const ol_environment_input *input, ol_arena *arena, const char *const **out, ol_error *err)
{
	env_list env = { .arena = arena };
	int rc = fill(&env, input, err);

	if (rc == OL_OK) {
		const char **list = ol_arena_alloc(arena, (env.count + 1) * sizeof *list);

		for (size_t i = 0; i < env.count; i++)
			list[i] = env.list[i];
		*out = list;
	}
	free(env.list);
	return rc;
}

const char *ol_environment_get(const char *const *env, const char *name)
{
	size_t size = strlen(name);

	for (; env && *env; env++)
		if (strncmp(*env, name, size) == 0 && (*env)[size] == '=')
			return *env + size + 1;
	return NULL;
}
