#include "cmd/copy_result.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"

int ol_copy_platform(const ol_context *ctx, ol_platform *out, bool *is_set, ol_error *err)
{
	const char *text = ol_args_text(ctx->args, "platform");

	*is_set = text != NULL;
	return text ? ol_platform_parse(text, out, err) : OL_OK;
}

static int write_digest(const char *path, const ol_digest *digest, ol_error *err)
{
	ol_digest_text text = ol_digest_format(digest);
	ol_autofd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int rc = fd < 0 ? ol_fail_sys(err, "open") : OL_OK;

	if (rc == OL_OK)
		rc = ol_write_all(fd, text.text, strlen(text.text), err);
	return rc < 0 ? ol_wrap(err, rc, "--digestfile %.200s", path) : OL_OK;
}

int ol_copy_tell(ol_context *ctx, const char *ref, const ol_copied *copied, ol_error *err)
{
	const char *path = ol_args_text(ctx->args, "digestfile");
	int rc = path ? write_digest(path, &copied->root, err) : OL_OK;

	if (rc == OL_OK && ol_progress_is_json(ctx->progress)) {
		ol_json *line = ol_json_object();

		ol_json_set_text(line, "ref", ref);
		ol_json_set_text(line, "digest", ol_digest_format(&copied->root).text);
		ol_json_set_int(line, "size", (int64_t)copied->size);
		ol_json_set_bool(line, "changed", copied->changed);
		ol_json_set_int(line, "sent", (int64_t)copied->sent_bytes);
		ol_json_set_int(line, "mounted", (int64_t)copied->mounted_bytes);
		ol_json_set_int(line, "existing", (int64_t)copied->existing_bytes);
		ol_progress_line(ctx->progress, "done", line);
	}
	ol_progress_finish(ctx->progress);
	return rc;
}
