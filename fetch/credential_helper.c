#include "fetch/credential_helper.h"

#include <string.h>

#include "base/alloc.h"
#include "base/child.h"
#include "base/limits.h"
#include "base/str.h"
#include "manifest/json.h"

static void wipe(ol_buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	ol_buf_done(buf);
}

/* Runs the helper. Its exit status says whether out is an answer or a complaint. */
static int run(const char *suffix, const char *verb, ol_view input, ol_buf *out, int *status,
	ol_error *err)
{
	ol_autofree char *program = ol_text("docker-credential-%s", suffix);
	const char *const argv[] = { program, verb, NULL };
	int rc;

	/* It is looked up in PATH; a path would be somebody else's idea. */
	if (!*suffix || strchr(suffix, '/'))
		return ol_fail(err, OL_EINVAL,
			"a credential helper's name cannot be empty or hold a slash");
	rc = ol_child_run_for(argv, input, out, status, OL_HELPER_TIMEOUT_MS, err);
	if (rc != OL_EUNAVAILABLE)
		return rc;
	rc = ol_wrap(err, rc, "%s %s", program, verb);
	return ol_hint(err, rc,
		"it was given %d s: see whether `%s list` waits for an answer somewhere",
		OL_HELPER_TIMEOUT_MS / 1000, program);
}

static int complaint(const char *suffix, const ol_buf *out, int status, ol_error *err)
{
	ol_auto_str ol_str words = OL_STR(300);
	ol_view line = out->size ? ol_buf_view(out) : ol_view_from("", 0);
	const char *end = line.size ? memchr(line.data, '\n', line.size) : NULL;

	if (end)
		line.size = (size_t)(end - line.data);
	if (line.size > 200)
		line.size = 200;
	(void)ol_str_add_safe(&words, line);
	return ol_fail(err, OL_EUNAVAILABLE, "docker-credential-%s: %s (status %d)", suffix,
		line.size ? ol_str_text(&words) : "failed", status);
}

static bool is_not_found(const ol_buf *out)
{
	static const char words[] = "credentials not found";

	return out->size && memmem(out->data, out->size, words, sizeof words - 1);
}

static int read_answer(
	const char *suffix, ol_view text, ol_credentials *out, bool *found, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *root = NULL;
	const char *user, *secret;

	if (ol_json_parse(text, &root, NULL) < 0 || !ol_json_is_object(root))
		return ol_fail(err, OL_EINVAL, "docker-credential-%s answers no JSON", suffix);
	user = ol_json_text(ol_json_get(root, "Username"));
	secret = ol_json_text(ol_json_get(root, "Secret"));
	*found = user && *user && secret;
	if (!*found)
		return OL_OK;
	if (strcmp(user, "<token>") == 0) {
		out->identity_token = ol_strdup(secret);
		return OL_OK;
	}
	out->user = ol_strdup(user);
	out->password = ol_strdup(secret);
	return OL_OK;
}

int ol_credential_helper_get(
	const char *suffix, const char *server, ol_credentials *out, bool *found, ol_error *err)
{
	__attribute__((cleanup(wipe))) ol_buf answer = OL_BUF(OL_TOKEN_BYTES_MAX);
	int status = 0;
	int rc = run(suffix, "get", ol_view_of(server), &answer, &status, err);

	*found = false;
	if (rc < 0)
		return rc;
	if (status != 0)
		return is_not_found(&answer) ? OL_OK : complaint(suffix, &answer, status, err);
	return read_answer(
		suffix, answer.size ? ol_buf_view(&answer) : ol_view_from("", 0), out, found, err);
}

int ol_credential_helper_store(const char *suffix, const char *server, const char *user,
	const char *password, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *root = ol_json_object();
	__attribute__((cleanup(wipe))) ol_str input = OL_STR(OL_TOKEN_BYTES_MAX);
	__attribute__((cleanup(wipe))) ol_buf answer = OL_BUF(OL_TOKEN_BYTES_MAX);
	int status = 0;
	int rc;

	ol_json_set_text(root, "ServerURL", server);
	ol_json_set_text(root, "Username", user);
	ol_json_set_text(root, "Secret", password);
	rc = ol_json_format(root, OL_JSON_COMPACT, &input, err);
	if (rc == OL_OK)
		rc = run(suffix, "store", ol_buf_view(&input), &answer, &status, err);
	if (rc < 0)
		return rc;
	return status ? complaint(suffix, &answer, status, err) : OL_OK;
}

int ol_credential_helper_erase(const char *suffix, const char *server, ol_error *err)
{
	ol_auto_buf ol_buf answer = OL_BUF(OL_TOKEN_BYTES_MAX);
	int status = 0;
	int rc = run(suffix, "erase", ol_view_of(server), &answer, &status, err);

	if (rc < 0)
		return rc;
	return status ? complaint(suffix, &answer, status, err) : OL_OK;
}
