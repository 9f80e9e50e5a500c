#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "fetch/tls_priv.h"

static const char system_bundle[] = "/etc/ssl/certs/ca-certificates.crt";
static const char system_path[] = "/etc/ssl/certs";

static int not_dot(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void names_free(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

static int add_authority(int dir_fd, const char *name, ol_tls *tls, ol_error *err)
{
	ol_auto_buf ol_buf file = OL_BUF(OL_CONFIG_FILE_BYTES_MAX);
	int rc = ol_file_read(dir_fd, name, false, &file, err);

	if (rc < 0)
		return rc;
	tls->authorities.max = OL_CONFIG_FILE_BYTES_MAX;
	(void)ol_str_addv(&tls->authorities, ol_buf_view(&file));
	(void)ol_str_addc(&tls->authorities, '\n'); /* a file may lack its last one */
	return ol_str_error(&tls->authorities, err);
}

/* The first pair by name is used: libcurl offers one. */
static int add_pair(int dir_fd, const char *dir, const char *name, ol_tls *tls, ol_error *err)
{
	size_t stem = strlen(name) - strlen(".cert");
	ol_autofree char *key = ol_text("%.*s.key", (int)stem, name);

	if (faccessat(dir_fd, key, R_OK, 0) < 0) {
		int rc = ol_fail_sys(
			err, "client certificate %s/%s has no readable key %s", dir, name, key);

		return ol_hint(
			err, rc, "put the key beside it, or name a CA *.crt rather than *.cert");
	}
	if (tls->cert)
		return OL_OK;
	tls->cert = ol_text("%s/%s", dir, name);
	tls->key = ol_text("%s/%s", dir, key);
	return OL_OK;
}

static int add_file(int dir_fd, const char *dir, const char *name, ol_tls *tls, ol_error *err)
{
	ol_view view = ol_view_of(name);

	if (ol_view_ends(view, ".crt"))
		return add_authority(dir_fd, name, tls, err);
	if (ol_view_ends(view, ".cert"))
		return add_pair(dir_fd, dir, name, tls, err);
	return OL_OK;
}

/* OL_ENOTFOUND when there is no such directory. */
static int load_dir(const char *dir, ol_tls *tls, ol_error *err)
{
	ol_autofd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	int rc = OL_OK;
	int count;

	if (dir_fd < 0)
		return ol_fail_sys(err, "%s", dir);
	count = scandir(dir, &names, not_dot, alphasort);
	if (count < 0)
		return ol_fail_sys(err, "%s", dir);
	for (int i = 0; i < count && rc == OL_OK; i++) {
		rc = add_file(dir_fd, dir, names[i]->d_name, tls, err);
		if (rc < 0)
			rc = ol_wrap(err, rc, "%s/%s", dir, names[i]->d_name);
	}
	names_free(names, count);
	if (rc == OL_OK)
		tls->source = ol_strdup(dir);
	return rc;
}

/* The first of the systems' places that has a directory for this host. */
static int load_places(const char *host, ol_tls *tls, ol_error *err)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	ol_autofree char *own = config && *config
					? ol_strdup(config)
					: ol_text("%s/.config", home ? home : "/nonexistent");
	const char *const places[][2] = {
		{ own, "/docker/certs.d" },
		{ own, "/containers/certs.d" },
		{ "/etc", "/docker/certs.d" },
		{ "/etc", "/containers/certs.d" },
	};
	int rc = OL_ENOTFOUND;

	/* A name may come from a redirect: then it need not be one. */
	if (!*host || *host == '.' || strchr(host, '/'))
		return OL_OK;
	for (size_t i = 0; i < 4 && rc == OL_ENOTFOUND; i++) {
		ol_autofree char *dir = ol_text("%s%s/%s", places[i][0], places[i][1], host);

		rc = load_dir(dir, tls, err);
	}
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

/* What a configuration names, file by file. */
static int load_named(const ol_tls_ask *ask, ol_tls *tls, ol_error *err)
{
	int rc = OL_OK;

	for (const char *const *path = ask->authorities; rc == OL_OK && path && *path; path++) {
		rc = add_authority(AT_FDCWD, *path, tls, err);
		if (rc < 0)
			rc = ol_wrap(err, rc, "%s", *path);
	}
	if (rc < 0 || !ask->cert)
		return rc;
	if (access(ask->cert, R_OK) < 0)
		return ol_fail_sys(err, "client certificate %s", ask->cert);
	if (access(ask->key, R_OK) < 0)
		return ol_fail_sys(err, "client key %s", ask->key);
	tls->cert = ol_strdup(ask->cert);
	tls->key = ol_strdup(ask->key);
	return OL_OK;
}

static int load(const ol_tls_ask *ask, ol_tls *tls, ol_error *err)
{
	const bool named = ask->authorities || ask->cert;
	int rc;

	if (named)
		rc = load_named(ask, tls, err);
	else if (ask->cert_dir)
		rc = load_dir(ask->cert_dir, tls, err);
	else if (!ask->alone)
		rc = load_places(ask->host, tls, err);
	else
		return OL_OK;
	if (rc == OL_OK && named && !tls->source)
		tls->source = ol_strdup(ask->source);
	return rc;
}

int ol_tls_load(const ol_tls_ask *ask, ol_tls *out, ol_error *err)
{
	ol_tls tls = { .skip_verify = ask->skip_verify };
	const char *file = getenv("SSL_CERT_FILE");
	const char *path = getenv("SSL_CERT_DIR");
	int rc = load(ask, &tls, err);

	if (rc < 0) {
		ol_tls_done(&tls);
		return ol_wrap(err, rc, "certificates for %s", ask->host);
	}
	/* The directory is looked into by hash, the bundle is read whole: 20 ms, but kept by
	 * libcurl for the next connection. Where there are CAs of our own libcurl keeps nothing, so
	 * there the directory serves. */
	if (file && *file)
		tls.ca_file = ol_strdup(file);
	else if (!tls.authorities.size && access(system_bundle, R_OK) == 0)
		tls.ca_file = ol_strdup(system_bundle);
	if (path && *path)
		tls.ca_path = ol_strdup(path);
	else if (!tls.ca_file)
		tls.ca_path = ol_strdup(system_path);
	*out = tls;
	return OL_OK;
}

void ol_tls_share(const ol_tls *tls, ol_tls *out)
{
	*out = (ol_tls){ .skip_verify = tls->skip_verify,
		.authorities = OL_BUF(OL_CONFIG_FILE_BYTES_MAX),
		.ca_file = ol_strdup(tls->ca_file),
		.ca_path = ol_strdup(tls->ca_path),
		.source = ol_strdup(tls->source) };
	(void)ol_buf_add(&out->authorities, tls->authorities.data, tls->authorities.size);
}

void ol_tls_done(ol_tls *tls)
{
	free(tls->source);
	ol_buf_done(&tls->authorities);
	free(tls->ca_file);
	free(tls->ca_path);
	free(tls->cert);
	free(tls->key);
	*tls = (ol_tls){ 0 };
}
