/*
 * Which files make up registries.conf:
 *
 *	--registries-conf FILE                              that one alone
 *	CONTAINERS_REGISTRIES_CONF                          else
 *	$HOME/.config/containers/registries.conf            else
 *	/etc/containers/registries.conf
 *
 * then the drop-ins *.conf of CONTAINERS_REGISTRIES_CONF_DIR, else of registries.conf.d beside the
 * system's (unless the user has a file of his own) and beside the user's; then the cache of short
 * names.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/userns.h"
#include "fetch/registries_conf.h"

static const char system_file[] = "/etc/containers/registries.conf";
static const char system_dropins[] = "/etc/containers/registries.conf.d";
static const char system_cache[] = "/var/cache/containers/short-name-aliases.conf";

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

typedef int (*adder)(ol_registries_conf *conf, ol_view text, const char *file, ol_error *err);

/* A file that is not wanted may be missing. */
static int add_file(
	ol_registries_conf *conf, adder add, const char *path, bool wanted, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_CONFIG_FILE_BYTES_MAX);
	ol_error why = { 0 };
	int rc = ol_file_read(AT_FDCWD, path, false, &text, &why);

	if (rc == OL_ENOTFOUND && !wanted)
		return OL_OK;
	if (rc < 0) {
		if (err)
			*err = why;
		return rc;
	}
	return add(conf, text.size ? ol_buf_view(&text) : ol_view_of(""), path, err);
}

static int is_dropin(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && ol_view_ends(ol_view_of(entry->d_name), ".conf");
}

/* In the order of their names' bytes. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_dropins(ol_registries_conf *conf, const char *dir, ol_error *err)
{
	struct dirent **entries = NULL;
	int count = scandir(dir, &entries, is_dropin, by_name), rc = OL_OK;

	if (count < 0)
		return errno == ENOENT || errno == ENOTDIR ? OL_OK : ol_fail_sys(err, "%s", dir);
	for (int i = 0; i < count; i++) {
		ol_autofree char *path = ol_text("%s/%s", dir, entries[i]->d_name);

		if (rc == OL_OK)
			rc = add_file(conf, ol_registries_conf_add, path, false, err);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

static int add_all(ol_registries_conf *conf, const char *home, ol_error *err)
{
	ol_autofree char *own = ol_text("%s/.config/containers/registries.conf", home);
	ol_autofree char *own_dropins = ol_text("%s.d", own);
	ol_autofree char *own_cache = ol_text("%s/.cache/containers/short-name-aliases.conf", home);
	const char *file = env("CONTAINERS_REGISTRIES_CONF");
	const char *dropins = env("CONTAINERS_REGISTRIES_CONF_DIR");
	const bool is_own = !file && access(own, F_OK) == 0;
	int rc = add_file(conf, ol_registries_conf_add,
		file     ? file
		: is_own ? own
			 : system_file,
		file != NULL, err);

	if (rc == OL_OK && dropins)
		rc = add_dropins(conf, dropins, err);
	if (rc == OL_OK && !dropins && !is_own)
		rc = add_dropins(conf, system_dropins, err);
	if (rc == OL_OK && !dropins)
		rc = add_dropins(conf, own_dropins, err);
	if (rc == OL_OK)
		rc = add_file(conf, ol_registries_conf_add_cache,
			ol_userns_is_root() ? system_cache : own_cache, false, err);
	return rc;
}

int ol_registries_conf_load(const char *path, ol_registries_conf **out, ol_error *err)
{
	ol_auto(ol_registries_conf_free) ol_registries_conf *conf = ol_registries_conf_new();
	const char *home = env("HOME");
	int rc = path ? add_file(conf, ol_registries_conf_add, path, true, err)
		      : add_all(conf, home ? home : "/nonexistent", err);

	if (rc < 0)
		return rc;
	*out = ol_steal(&conf);
	return OL_OK;
}
