#include <string.h>

#include "image/archive_name_priv.h"

/* Adds a path's components to what is there; false: ".." leads above the root, or is not allowed.
 */
static bool add(char *out, const char *path, bool parents)
{
	size_t size = strlen(out);

	for (const char *at = path; *at;) {
		const size_t length = strcspn(at, "/");

		if (length == 2 && memcmp(at, "..", 2) == 0) {
			if (!parents || size == 0)
				return false;
			while (size > 0 && out[size - 1] != '/')
				size--;
			size -= size > 0;
		} else if (length > 0 && !(length == 1 && *at == '.')) {
			if (size > 0)
				out[size++] = '/';
			memcpy(out + size, at, length);
			size += length;
		}
		out[size] = '\0';
		at += length + (at[length] == '/');
	}
	return true;
}

int ol_archive_path_of(const char *name, ol_archive_path *out, ol_error *err)
{
	ol_archive_path path = { "" };

	if (strlen(name) > OL_PATH_MAX)
		return ol_fail(err, OL_ELIMIT,
			"%.64s…: a path in the archive has more than %d bytes", name, OL_PATH_MAX);
	if (*name == '/' || !add(path.text, name, false))
		return ol_fail(
			err, OL_ECORRUPT, "%.255s: a path that leads out of the archive", name);
	*out = path;
	return OL_OK;
}

int ol_archive_path_follow(
	const char *name, const char *target, bool hard, ol_archive_path *out, ol_error *err)
{
	const char *slash = strrchr(name, '/');
	const size_t folder = hard || !slash ? 0 : (size_t)(slash - name);
	ol_archive_path path = { "" };

	if (folder + 1 + strlen(target) > OL_PATH_MAX)
		return ol_fail(err, OL_ELIMIT, "%.255s: links to a path of more than %d bytes",
			name, OL_PATH_MAX);
	memcpy(path.text, name, folder);
	path.text[folder] = '\0';
	if (*target == '/' || !add(path.text, target, !hard))
		return ol_fail(err, OL_ECORRUPT,
			"%.255s: links to %.128s, which is not in the archive", name, target);
	*out = path;
	return OL_OK;
}

ol_digest ol_archive_path_digest(const char *name, bool *is_blob)
{
	static const char *const ends[] = { ".tar", ".tar.gz", "/layer.tar" };
	ol_digest digest = { 0 };
	char text[OL_DIGEST_TEXT_MAX + 1];
	const char *slash;

	*is_blob = false;
	if (strncmp(name, "blobs/", 6) == 0 && (slash = strchr(name + 6, '/')) != NULL &&
		strlen(name + 6) < OL_DIGEST_TEXT_MAX) {
		(void)snprintf(
			text, sizeof text, "%.*s:%s", (int)(slash - name - 6), name + 6, slash + 1);
		*is_blob = ol_digest_parse(ol_view_of(text), &digest, NULL) == OL_OK;
		return *is_blob ? digest : (ol_digest){ 0 };
	}
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (strlen(name) > 64 && strcmp(name + 64, ends[i]) == 0 &&
			ol_hex_parse(ol_view_from(name, 64), digest.bytes, 32) == OL_OK) {
			digest.algorithm = OL_SHA256;
			return digest;
		}
	return (ol_digest){ 0 };
}
