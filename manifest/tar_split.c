#include "manifest/tar_split.h"

#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/limits.h"
#include "base/str.h"
#include "manifest/json_scan.h"

/* In base64, with what encoding JSON may need. */
#define STRING_BYTES_MAX (OL_TAR_SPLIT_SEGMENT_MAX / 3 * 4 + 8)
#define CRC64_BYTES      8

enum { TYPE_FILE = 1, TYPE_SEGMENT = 2 };

enum {
	SAYS_TYPE = 1,
	SAYS_NAME = 2,
	SAYS_NAME_RAW = 4,
	SAYS_SIZE = 8,
	SAYS_PAYLOAD = 16,
	SAYS_POSITION = 32
};

struct ol_tar_split {
	ol_view left;  /* lines to come */
	uint64_t line; /* of the one that is read, from 1 */
	/* of the line that is read */
	unsigned said;
	int64_t type, bytes, position;
	ol_buf name, payload;
};

ol_tar_split *ol_tar_split_new(ol_view lines)
{
	ol_tar_split *split = ol_alloc(sizeof *split);

	split->left = lines;
	split->name = OL_BUF(OL_PAX_BYTES_MAX); /* what a header can say at most */
	split->payload = OL_BUF(OL_TAR_SPLIT_SEGMENT_MAX);
	return split;
}

void ol_tar_split_free(ol_tar_split *split)
{
	if (!split)
		return;
	ol_buf_done(&split->name);
	ol_buf_done(&split->payload);
	free(split);
}

static int refuse(int code, const char *why, ol_error *err)
{
	return ol_fail(err, code, "%s", why);
}

/* Base64 into out; null is nothing. */
static int read_bytes(const ol_json_token *token, ol_buf *out, ol_error *err)
{
	int rc;

	if (token->type == OL_JSON_TOKEN_NULL)
		return OL_OK;
	if (token->type != OL_JSON_TOKEN_STRING)
		return refuse(OL_ECORRUPT, "a member of the wrong type", err);
	rc = ol_base64_parse(token->text, out, NULL);
	if (rc == OL_ELIMIT)
		return refuse(OL_ELIMIT, "a segment or a name too large", err);
	return rc < 0 ? refuse(OL_ECORRUPT, "what is not base64", err) : OL_OK;
}

static int read_number(const ol_json_token *token, int64_t *out, ol_error *err)
{
	if (token->type != OL_JSON_TOKEN_INTEGER || token->integer < 0)
		return refuse(OL_ECORRUPT, "a number out of range", err);
	*out = token->integer;
	return OL_OK;
}

static int read_name(ol_tar_split *split, const ol_json_token *token, ol_error *err)
{
	if (token->type != OL_JSON_TOKEN_STRING)
		return refuse(OL_ECORRUPT, "a member of the wrong type", err);
	return ol_buf_add(&split->name, token->text.data, token->text.size) < 0
		       ? refuse(OL_ELIMIT, "a segment or a name too large", err)
		       : OL_OK;
}

static unsigned member_of(ol_view key)
{
	static const struct {
		const char *key;
		unsigned says;
	} members[] = {
		{ "type", SAYS_TYPE },
		{ "name", SAYS_NAME },
		{ "name_raw", SAYS_NAME_RAW },
		{ "size", SAYS_SIZE },
		{ "payload", SAYS_PAYLOAD },
		{ "position", SAYS_POSITION },
	};

	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (ol_view_is(key, members[i].key))
			return members[i].says;
	return 0;
}

static int read_member(ol_tar_split *split, ol_json_scan *scan, ol_view key, ol_error *err)
{
	const unsigned says = member_of(key);
	ol_json_token token;
	int rc;

	if (split->said & says)
		return refuse(OL_ECORRUPT, "it says a member twice", err);
	split->said |= says;
	rc = ol_json_scan_next(scan, &token, err);
	if (rc < 0)
		return rc;
	if (!says)
		return ol_json_scan_skip(scan, &token, err);
	switch (says) {
	case SAYS_TYPE:
		return read_number(&token, &split->type, err);
	case SAYS_SIZE:
		return read_number(&token, &split->bytes, err);
	case SAYS_POSITION:
		return read_number(&token, &split->position, err);
	case SAYS_NAME:
		return read_name(split, &token, err);
	case SAYS_NAME_RAW:
		return read_bytes(&token, &split->name, err);
	default:
		return read_bytes(&token, &split->payload, err);
	}
}

static int read_object(ol_tar_split *split, ol_json_scan *scan, ol_error *err)
{
	ol_json_token token;
	int rc = ol_json_scan_next(scan, &token, err);

	if (rc == OL_OK && token.type != OL_JSON_TOKEN_OBJECT)
		rc = refuse(OL_ECORRUPT, "it is no object", err);
	while (rc == OL_OK) {
		rc = ol_json_scan_next(scan, &token, err);
		if (rc < 0 || token.type != OL_JSON_TOKEN_KEY)
			break;
		rc = read_member(split, scan, token.text, err);
	}
	return rc == OL_OK ? ol_json_scan_next(scan, &token, err) : rc; /* nothing may follow */
}

/* What the members make together. */
static int check_line(const ol_tar_split *split, ol_error *err)
{
	const bool file = split->type == TYPE_FILE;

	if (!(split->said & SAYS_TYPE) || (!file && split->type != TYPE_SEGMENT))
		return refuse(OL_ECORRUPT, "neither a file nor a segment", err);
	if (!(split->said & SAYS_POSITION) || (uint64_t)split->position != split->line - 1)
		return refuse(OL_ECORRUPT, "it is not in its place", err);
	if ((split->said & SAYS_NAME) && (split->said & SAYS_NAME_RAW))
		return refuse(OL_ECORRUPT, "two names", err);
	if (!file && (split->bytes || split->name.size || !split->payload.size))
		return refuse(OL_ECORRUPT, "a segment that is empty, or more than that", err);
	if (file && split->payload.size && split->payload.size != CRC64_BYTES)
		return refuse(OL_ECORRUPT, "a file's checksum that is none", err);
	if (file && memchr(split->name.data, '\0', split->name.size))
		return refuse(OL_ECORRUPT, "a name with a NUL byte", err);
	if ((uint64_t)split->bytes > OL_LAYER_TAR_BYTES_MAX)
		return refuse(OL_ELIMIT, "a file larger than a layer may be", err);
	return OL_OK;
}

static int read_line(ol_tar_split *split, ol_view line, ol_error *err)
{
	ol_json_scan scan;
	int rc;

	split->said = 0;
	split->type = split->bytes = split->position = 0;
	ol_buf_clear(&split->name);
	ol_buf_clear(&split->payload);
	(void)ol_buf_add(&split->name, "", 0); /* so that it is terminated */
	ol_json_scan_init(&scan, line, STRING_BYTES_MAX);
	rc = read_object(split, &scan, err);
	ol_json_scan_done(&scan);
	return rc < 0 ? rc : check_line(split, err);
}

int ol_tar_split_next(ol_tar_split *split, ol_tar_split_item *out, bool *more, ol_error *err)
{
	const char *end =
		split->left.size ? memchr(split->left.data, '\n', split->left.size) : NULL;
	size_t size = end ? (size_t)(end - split->left.data) : split->left.size;
	int rc;

	*more = split->left.size > 0;
	if (!*more)
		return OL_OK;
	split->line++;
	rc = read_line(split, (ol_view){ split->left.data, size }, err);
	if (rc < 0)
		return ol_wrap(err, rc == OL_EINVAL ? OL_ECORRUPT : rc,
			"line %llu of the tar-split", (unsigned long long)split->line);
	size += end ? 1 : 0;
	split->left = (ol_view){ split->left.data + size, split->left.size - size };
	*out = (ol_tar_split_item){ .is_file = split->type == TYPE_FILE,
		.segment = ol_buf_view(&split->payload),
		.name = ol_buf_view(&split->name),
		.size = (uint64_t)split->bytes };
	if (out->is_file)
		out->segment = (ol_view){ "", 0 };
	return OL_OK;
}
