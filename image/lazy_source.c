#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "image/lazy_source_priv.h"
#include "manifest/json.h"
#include "store/lazy.h"

#define VERSION     1
#define RETRIES_MAX 1000

/* Texts that need no more than to be kept. */
static const struct text {
	const char *key;
	size_t at; /* in ol_lazy_source */
	bool is_path;
} texts[] = {
	{ "mediaType", offsetof(ol_lazy_source, media_type), false },
	{ "certDir", offsetof(ol_lazy_source, cert_dir), true },
	{ "authfile", offsetof(ol_lazy_source, authfile), true },
	{ "hostsDir", offsetof(ol_lazy_source, hosts_dir), true },
	{ "registriesConf", offsetof(ol_lazy_source, registries_conf), true },
	{ "engine", offsetof(ol_lazy_source, engine), false },
};
#define TEXT_COUNT (sizeof texts / sizeof *texts)

static char **text_at(const ol_lazy_source *source, const struct text *text)
{
	return (char **)((char *)(uintptr_t)source + text->at);
}

void ol_lazy_source_done(ol_lazy_source *source)
{
	if (source->creds)
		explicit_bzero(source->creds, strlen(source->creds));
	free(source->creds);
	for (size_t i = 0; i < TEXT_COUNT; i++)
		free(*text_at(source, &texts[i]));
	*source = (ol_lazy_source){ 0 };
}

/* "lazy/<hex>.creds", in the run dir. */
static char *creds_name(const ol_digest *diff_id)
{
	return ol_text("lazy/%s.creds", ol_digest_hex(diff_id).text);
}

/* What was given before and is no more must not stay. */
static int write_creds(ol_store *store, const ol_digest *diff_id, const char *creds, ol_error *err)
{
	const int run_fd = ol_store_run_fd(store);
	ol_autofree char *name = creds_name(diff_id);
	int rc;

	if (!creds)
		return unlinkat(run_fd, name, 0) == 0 || errno == ENOENT
			       ? OL_OK
			       : ol_fail_sys(err, "remove %s", name);
	rc = ol_mkdirs(run_fd, "lazy", 0700, err);
	return rc < 0 ? rc
		      : ol_publish(run_fd, name, ol_view_of(creds), 0600, OL_PUBLISH_REPLACE, err);
}

static void set_path(ol_json *json, const char *key, const char *path)
{
	ol_autofree char *here = *path == '/' ? NULL : getcwd(NULL, 0);
	ol_autofree char *whole = here ? ol_text("%s/%s", here, path) : NULL;

	ol_json_set_text(json, key, whole ? whole : path);
}

static ol_json *describe(const ol_lazy_source *source)
{
	ol_json *json = ol_json_object();

	ol_json_set_int(json, "version", VERSION);
	ol_json_set_text(json, "ref", ol_ref_format(&source->ref).text);
	/* A tag beside a digest is not part of a reference's canonical form. */
	if (ol_digest_is_set(&source->manifest))
		ol_json_set_text(json, "manifest", ol_digest_format(&source->manifest).text);
	ol_json_set_text(json, "blob", ol_digest_format(&source->blob).text);
	ol_json_set_int(json, "size", (int64_t)source->blob_size);
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		const char *text = *text_at(source, &texts[i]);

		if (text && texts[i].is_path)
			set_path(json, texts[i].key, text);
		else if (text)
			ol_json_set_text(json, texts[i].key, text);
	}
	ol_json_set_bool(json, "plainHttp", source->plain_http);
	ol_json_set_bool(json, "httpFirst", source->http_first);
	ol_json_set_bool(json, "skipTlsVerify", source->skip_tls_verify);
	ol_json_set_int(json, "retries", source->retries);
	ol_json_set_bool(json, "noFill", source->no_fill);
	ol_json_set_int(json, "rate", (int64_t)source->rate_bytes);
	ol_json_set_int(json, "timeoutMs", (int64_t)source->timeout_ms);
	return json;
}

int ol_lazy_source_write(ol_store *store, int dir_fd, const ol_digest *diff_id,
	const ol_lazy_source *source, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = describe(source);
	ol_auto_str ol_str text = OL_STR(OL_LAZY_SOURCE_BYTES_MAX);
	int rc = ol_json_format(json, OL_JSON_SORTED, &text, err);

	/* First what it needs: a source is never there with another's credentials. */
	if (rc == OL_OK)
		rc = write_creds(store, diff_id, source->creds, err);
	if (rc == OL_OK)
		rc = ol_publish(
			dir_fd, OL_LAZY_SOURCE, ol_buf_view(&text), 0600, OL_PUBLISH_REPLACE, err);
	return rc < 0 ? ol_wrap(err, rc, "where a lazy layer comes from") : OL_OK;
}

/* A number from 0 (least) to INT64_MAX; absent is otherwise. */
static int get_number(
	const ol_json *json, const char *key, int64_t least, int64_t *out, ol_error *err)
{
	int rc = ol_json_get_int(json, key, out, err);

	return rc < 0         ? rc
	       : *out < least ? ol_fail(err, OL_EINVAL, "%s is out of range", key)
			      : OL_OK;
}

static int get_digest(const ol_json *json, const char *key, ol_digest *out, ol_error *err)
{
	const char *text = "";
	int rc = ol_json_get_text(json, key, &text, err);

	if (rc == OL_OK)
		rc = ol_digest_parse(ol_view_of(text), out, err);
	return rc < 0 ? ol_wrap(err, rc, "%s", key) : OL_OK;
}

static int get_texts(const ol_json *json, ol_lazy_source *out, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < TEXT_COUNT; i++) {
		const char *text = NULL;

		rc = ol_json_get_text(json, texts[i].key, &text, err);
		if (rc == OL_OK && text && texts[i].is_path && *text != '/')
			rc = ol_fail(err, OL_EINVAL, "%s is no absolute path", texts[i].key);
		if (rc == OL_OK)
			*text_at(out, &texts[i]) = ol_strdup(text);
	}
	return rc;
}

static int get_numbers(const ol_json *json, ol_lazy_source *out, ol_error *err)
{
	int64_t version = 0, size = -1, retries = -1, rate = 0, timeout = 0;
	int rc = get_number(json, "version", VERSION, &version, err);

	if (rc == OL_OK && version != VERSION)
		rc = ol_fail(err, OL_EINVAL, "version %lld", (long long)version);
	if (rc == OL_OK)
		rc = get_number(json, "size", 0, &size, err);
	if (rc == OL_OK)
		rc = get_number(json, "retries", -1, &retries, err);
	if (rc == OL_OK)
		rc = get_number(json, "rate", 0, &rate, err);
	if (rc == OL_OK)
		rc = get_number(json, "timeoutMs", 0, &timeout, err);
	if (rc == OL_OK && ((uint64_t)size > OL_DESCRIPTOR_BYTES_MAX || retries > RETRIES_MAX))
		rc = ol_fail(err, OL_EINVAL, "a number is out of range");
	if (rc < 0)
		return rc;
	out->blob_size = (uint64_t)size;
	out->retries = (int)retries;
	out->rate_bytes = (uint64_t)rate;
	out->timeout_ms = (uint64_t)timeout;
	return OL_OK;
}

static int get_all(const ol_json *json, ol_lazy_source *out, ol_error *err)
{
	const char *ref = "";
	int rc = ol_json_is_object(json) ? OL_OK : ol_fail(err, OL_EINVAL, "not an object");

	if (rc == OL_OK)
		rc = ol_json_get_text(json, "ref", &ref, err);
	if (rc == OL_OK)
		rc = ol_ref_parse(ref, &out->ref, err);
	if (rc == OL_OK)
		rc = get_digest(json, "blob", &out->blob, err);
	if (rc == OL_OK && ol_json_has(json, "manifest"))
		rc = get_digest(json, "manifest", &out->manifest, err);
	if (rc == OL_OK)
		rc = get_numbers(json, out, err);
	if (rc == OL_OK)
		rc = ol_json_get_bool(json, "plainHttp", &out->plain_http, err);
	if (rc == OL_OK)
		rc = ol_json_get_bool(json, "httpFirst", &out->http_first, err);
	if (rc == OL_OK)
		rc = ol_json_get_bool(json, "skipTlsVerify", &out->skip_tls_verify, err);
	if (rc == OL_OK)
		rc = ol_json_get_bool(json, "noFill", &out->no_fill, err);
	return rc == OL_OK ? get_texts(json, out, err) : rc;
}

int ol_lazy_source_parse(ol_view text, ol_lazy_source *out, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_lazy_source source = { 0 };
	int rc;

	if (text.size > OL_LAZY_SOURCE_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "more than %zu bytes", OL_LAZY_SOURCE_BYTES_MAX);
	rc = ol_json_parse(text, &json, err);
	if (rc == OL_OK)
		rc = get_all(json, &source, err);
	if (rc < 0) {
		ol_lazy_source_done(&source);
		return rc == OL_ELIMIT ? rc : ol_wrap(err, OL_ECORRUPT, "not as orlop wrote it");
	}
	*out = source;
	return OL_OK;
}

/* Those of an earlier boot went with it: then there are none. */
static int read_creds(ol_store *store, const ol_digest *diff_id, char **out, ol_error *err)
{
	ol_autofree char *name = creds_name(diff_id);
	ol_auto_buf ol_buf text = OL_BUF(OL_LAZY_SOURCE_BYTES_MAX);
	int rc = ol_file_read(ol_store_run_fd(store), name, true, &text, err);

	if (rc == OL_OK)
		*out = ol_buf_steal(&text);
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

int ol_lazy_source_read(
	ol_store *store, int dir_fd, const ol_digest *diff_id, ol_lazy_source *out, ol_error *err)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_LAZY_SOURCE_BYTES_MAX);
	ol_lazy_source source = { 0 };
	int rc = ol_file_read(dir_fd, OL_LAZY_SOURCE, true, &text, err);

	if (rc == OL_OK)
		rc = ol_lazy_source_parse(ol_buf_view(&text), &source, err);
	if (rc == OL_OK)
		rc = read_creds(store, diff_id, &source.creds, err);
	if (rc < 0) {
		ol_lazy_source_done(&source);
		return ol_wrap(err, rc, "where a lazy layer comes from");
	}
	*out = source;
	return OL_OK;
}
