/*
 *	1;linux/amd64 sha256:… sha256:… 1704067200 8192 0;linux/arm64 …
 *	│ └platform   └manifest └config └created   └size └1: has labels
 *	└ version of this text: a row with another one is read the slow way
 */
#include "image/summary.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "image/list_priv.h"

#define VERSION "1"

/* The platform as text, if it is one that reads back as what it is. */
static bool add_platform(ol_str *out, const ol_platform *platform)
{
	const ol_platform_text text = ol_platform_format(platform);
	ol_platform back;

	for (const char *p = text.text; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == ';')
			return false;
	if (ol_platform_parse(text.text, &back, NULL) < 0 ||
		memcmp(&back, platform, sizeof back) != 0)
		return false;
	(void)ol_str_addf(out, ";%s", text.text);
	return true;
}

static bool add_image(
	ol_store *store, const ol_digest *manifest, const ol_digest *config_digest, ol_str *out)
{
	ol_auto(ol_config_free) ol_config *config = NULL;

	if (ol_config_load(store, config_digest, &config, NULL) < 0 ||
		!add_platform(out, &config->platform))
		return false;
	(void)ol_str_addf(out, " %s %s %" PRId64 " %" PRIu64 " %d", ol_digest_format(manifest).text,
		ol_digest_format(config_digest).text, ol_time_seconds(config->created),
		ol_layers_bytes(store, config), config->label_count > 0);
	return true;
}

/* False: it cannot be told in short. */
static bool add_document(ol_store *store, const ol_digest *digest, unsigned depth, ol_str *out)
{
	ol_auto(ol_document_free) ol_document *document = NULL;
	int rc = ol_document_load(store, digest, NULL, &document, NULL);

	if (rc < 0 || !document)
		return rc == OL_ENOTFOUND && depth > 0; /* a platform that was not pulled */
	if (document->kind == OL_DOCUMENT_MANIFEST)
		return ol_document_is_image(document)
			       ? add_image(store, digest, &document->config.digest, out)
			       : depth > 0;
	if (depth >= OL_INDEX_DEPTH_MAX)
		return false;
	for (size_t i = 0; i < document->manifest_count; i++) {
		const ol_descriptor *entry = &document->manifests[i];

		if (!ol_descriptor_is_attestation(entry) && ol_digest_is_set(&entry->digest) &&
			!add_document(store, &entry->digest, depth + 1, out))
			return false;
	}
	return true;
}

void ol_summary_make(ol_store *store, const ol_digest *root, ol_str *out)
{
	ol_auto_str ol_str text = OL_STR(OL_SUMMARY_BYTES_MAX);

	(void)ol_str_add(&text, VERSION);
	if (add_document(store, root, 0, &text) && text.size > strlen(VERSION) &&
		ol_str_error(&text, NULL) == OL_OK)
		(void)ol_str_addv(out, ol_buf_view(&text));
}

/* The next word of *at, which ends at a space, a semicolon or the end. */
static ol_view next_word(const char **at)
{
	const size_t size = strcspn(*at, " ;");
	const ol_view word = { *at, size };

	*at += size + ((*at)[size] == ' ');
	return word;
}

/* At most 18 digits, perhaps with a sign. */
static bool read_number(ol_view word, bool may_be_negative, int64_t *out)
{
	const bool negative = may_be_negative && word.size > 1 && word.data[0] == '-';
	int64_t number = 0;

	if (word.size - negative < 1 || word.size - negative > 18)
		return false;
	for (size_t i = negative; i < word.size; i++) {
		if (word.data[i] < '0' || word.data[i] > '9')
			return false;
		number = number * 10 + (word.data[i] - '0');
	}
	*out = negative ? -number : number;
	return true;
}

static bool read_platform(ol_view word, ol_platform *out)
{
	char text[sizeof(ol_platform_text)];

	if (word.size == 0 || word.size >= sizeof text)
		return false;
	memcpy(text, word.data, word.size);
	text[word.size] = '\0';
	return ol_platform_parse(text, out, NULL) == OL_OK;
}

static bool read_entry(const char **at, ol_summary_entry *out)
{
	int64_t size = 0, labels = 0;

	if (!read_platform(next_word(at), &out->platform) ||
		ol_digest_parse(next_word(at), &out->manifest, NULL) < 0 ||
		ol_digest_parse(next_word(at), &out->config, NULL) < 0 ||
		!read_number(next_word(at), true, &out->created) ||
		!read_number(next_word(at), false, &size) ||
		!read_number(next_word(at), false, &labels) || labels > 1)
		return false;
	out->size = (uint64_t)size;
	out->labels = labels == 1;
	return **at == ';' || !**at;
}

int ol_summary_parse(const char *text, ol_summary *out, ol_error *err)
{
	ol_summary summary = { 0 };
	size_t cap = 0;
	const char *at = text + strlen(VERSION);

	if (strncmp(text, VERSION ";", strlen(VERSION ";")) != 0)
		return ol_fail(err, OL_ECORRUPT, "not a summary");
	while (*at == ';') {
		at++;
		OL_GROW(summary.entries, summary.count, cap);
		if (!read_entry(&at, &summary.entries[summary.count++])) {
			ol_summary_done(&summary);
			return ol_fail(err, OL_ECORRUPT, "summary: wrong at byte %zu",
				(size_t)(at - text));
		}
	}
	*out = summary;
	return OL_OK;
}

void ol_summary_done(ol_summary *summary)
{
	free(summary->entries);
	*summary = (ol_summary){ 0 };
}

const ol_summary_entry *ol_summary_choose(const ol_summary *summary, const ol_platform *want)
{
	const ol_summary_entry *best = NULL;
	int best_rank = -1;
	bool alone = false;

	if (summary->count == 1)
		return &summary->entries[0]; /* whatever it is for, it is the one there is */
	for (size_t i = 0; i < summary->count; i++) {
		const int rank = ol_platform_match(want, &summary->entries[i].platform);

		if (rank < 0 || (best && rank > best_rank))
			continue;
		alone = !best || rank < best_rank;
		best = &summary->entries[i];
		best_rank = rank;
	}
	return alone ? best : NULL;
}
