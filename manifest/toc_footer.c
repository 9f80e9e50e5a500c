#include "manifest/toc_footer.h"

#include <string.h>

#include "base/ckd.h"
#include "base/limits.h"

/* Deflate, with an extra field, no time, system unknown. */
#define GZIP_HEAD         "\x1f\x8b\x08\x04\0\0\0\0\0\xff"
#define GZIP_HEAD_BYTES   10
#define STARGZ_MAGIC      "STARGZ"
#define EXTERNAL_MAGIC    "STARGZEXTERNALTOC"
#define CONTAINERS_MAGIC  "GNUlInUx"
#define STARGZ_ZSTD_MAGIC "GnUlInUx"
#define TOC_TYPE_CRFS     1

static uint64_t le64(const char *at)
{
	uint64_t value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | (unsigned char)at[i];
	return value;
}

static unsigned le16(const char *at)
{
	return (unsigned)(unsigned char)at[0] | (unsigned)(unsigned char)at[1] << 8;
}

/* A place in the blob; OL_ECORRUPT past its end, OL_ELIMIT where it is larger than one may be. */
static int check_range(
	const ol_toc_range *range, uint64_t blob_size, const char *what, ol_error *err)
{
	uint64_t end;

	if (ckd_add(&end, range->offset, range->size) || end > blob_size || range->size == 0)
		return ol_fail(err, OL_ECORRUPT,
			"%s is said to be bytes %llu+%llu of a blob of %llu", what,
			(unsigned long long)range->offset, (unsigned long long)range->size,
			(unsigned long long)blob_size);
	if (range->size > OL_TOC_BYTES_MAX)
		return ol_fail(err, OL_ELIMIT, "%s has %llu bytes, more than %zu", what,
			(unsigned long long)range->size, OL_TOC_BYTES_MAX);
	return OL_OK;
}

static int check_raw(uint64_t size, const char *what, ol_error *err)
{
	return size > 0 && size <= OL_TOC_BYTES_MAX
		       ? OL_OK
		       : ol_fail(err, OL_ELIMIT, "%s is said to have %llu bytes, not 1 to %zu",
				 what, (unsigned long long)size, OL_TOC_BYTES_MAX);
}

/* "%016x", lower case as all writers have it. */
static int read_hex16(const char *text, uint64_t *out, ol_error *err)
{
	uint8_t bytes[8];
	uint64_t value = 0;

	if (ol_hex_parse((ol_view){ text, 16 }, bytes, sizeof bytes) < 0)
		return ol_fail(err, OL_ECORRUPT, "the footer's offset is no number");
	for (size_t i = 0; i < sizeof bytes; i++)
		value = value << 8 | bytes[i];
	*out = value;
	return OL_OK;
}

/* An empty gzip member of size bytes whose extra field begins with what it must: the rest of it, or
 * NULL. subfield: the extra field is one subfield "SG". */
static const char *gzip_extra(ol_view tail, size_t size, bool subfield)
{
	const size_t extra = size - GZIP_HEAD_BYTES - 2 - 5 - 8;
	const char *at = tail.data + tail.size - size;

	if (tail.size < size || memcmp(at, GZIP_HEAD, GZIP_HEAD_BYTES) != 0 ||
		le16(at + GZIP_HEAD_BYTES) != extra)
		return NULL;
	at += GZIP_HEAD_BYTES + 2;
	if (!subfield)
		return at;
	return memcmp(at, "SG", 2) == 0 && le16(at + 2) == extra - 4 ? at + 4 : NULL;
}

static int estargz_footer(
	const char *extra, size_t footer, uint64_t blob_size, ol_toc_place *out, ol_error *err)
{
	ol_toc_place place = { .format = OL_TOC_ESTARGZ };
	int rc = read_hex16(extra, &place.toc.offset, err);

	if (rc < 0)
		return rc;
	if (place.toc.offset >= blob_size - footer)
		return ol_fail(err, OL_ECORRUPT,
			"the table of contents is said to begin at byte %llu of a blob of %llu",
			(unsigned long long)place.toc.offset, (unsigned long long)blob_size);
	place.toc.size = blob_size - footer - place.toc.offset;
	rc = check_range(&place.toc, blob_size, "the table of contents", err);
	if (rc == OL_OK)
		*out = place;
	return rc;
}

/* payload: of the skippable frame, magic included. */
static int zstd_footer(
	const char *payload, size_t size, uint64_t blob_size, ol_toc_place *out, ol_error *err)
{
	ol_toc_place place = {
		.format = OL_TOC_ZSTD_CHUNKED,
		.toc = { le64(payload), le64(payload + 8) },
		.toc_raw_size = le64(payload + 16),
	};
	int rc;

	if (le64(payload + 24) != TOC_TYPE_CRFS)
		return ol_fail(err, OL_EUNSUPPORTED, "a table of contents of type %llu",
			(unsigned long long)le64(payload + 24));
	if (size > 40 && le64(payload + 40) > 0) { /* of no bytes: there is none */
		place.tar_split = (ol_toc_range){ le64(payload + 32), le64(payload + 40) };
		place.tar_split_raw_size = le64(payload + 48);
	}
	rc = check_range(&place.toc, blob_size, "the table of contents", err);
	if (rc == OL_OK)
		rc = check_raw(place.toc_raw_size, "the table of contents", err);
	if (rc == OL_OK && place.tar_split.size > 0)
		rc = check_range(&place.tar_split, blob_size, "the tar-split", err);
	if (rc == OL_OK && place.tar_split.size > 0)
		rc = check_raw(place.tar_split_raw_size, "the tar-split", err);
	if (rc == OL_OK)
		*out = place;
	return rc;
}

/* The payload of a skippable frame of that size which ends the blob with magic; else NULL. */
static const char *skippable(ol_view tail, size_t size, const char *magic)
{
	const char *payload = tail.data + tail.size - size;

	if (tail.size < size + 8 || memcmp(payload + size - 8, magic, 8) != 0 ||
		memcmp(payload - 8, "\x50\x2a\x4d\x18", 4) != 0 || le16(payload - 4) != size ||
		le16(payload - 2) != 0)
		return NULL;
	return payload;
}

int ol_toc_footer_parse(ol_view tail, uint64_t blob_size, ol_toc_place *out, ol_error *err)
{
	static const struct {
		size_t size;
		bool subfield;
		const char *magic;
		size_t magic_at; /* in the extra field, behind the subfield's head */
	} footers[] = {
		{ 51, true, STARGZ_MAGIC, 16 },
		{ 47, false, STARGZ_MAGIC, 16 },
		{ 46, true, EXTERNAL_MAGIC, 0 },
	};
	const char *payload;

	if (tail.size > blob_size)
		return ol_fail(err, OL_EINVAL, "more bytes than the blob has");
	for (size_t i = 0; i < sizeof footers / sizeof *footers; i++) {
		const char *extra = gzip_extra(tail, footers[i].size, footers[i].subfield);

		if (!extra || memcmp(extra + footers[i].magic_at, footers[i].magic,
				      strlen(footers[i].magic)) != 0)
			continue;
		if (footers[i].magic_at > 0)
			return estargz_footer(extra, footers[i].size, blob_size, out, err);
		*out = (ol_toc_place){ .format = OL_TOC_ESTARGZ_EXTERNAL };
		return OL_OK;
	}
	payload = skippable(tail, 64, CONTAINERS_MAGIC);
	if (payload)
		return zstd_footer(payload, 64, blob_size, out, err);
	payload = skippable(tail, 40, STARGZ_ZSTD_MAGIC);
	if (payload)
		return zstd_footer(payload, 40, blob_size, out, err);
	return ol_fail(err, OL_ENOTFOUND, "the layer has no table of contents");
}

/* "a:b:c": count decimal numbers, and nothing else. */
static bool read_numbers(const char *text, uint64_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t digits = strspn(text, "0123456789");

		if (digits == 0 || digits > 18)
			return false;
		numbers[i] = 0;
		for (size_t k = 0; k < digits; k++)
			numbers[i] = numbers[i] * 10 + (uint64_t)(text[k] - '0');
		text += digits;
		if (*text != (i + 1 < count ? ':' : '\0'))
			return false;
		text++;
	}
	return true;
}

static int read_digest(const char *key, const char *text, ol_digest *out, ol_error *err)
{
	return ol_digest_parse(ol_view_of(text), out, NULL) == OL_OK
		       ? OL_OK
		       : ol_fail(err, OL_ECORRUPT, "the annotation %s is no digest", key);
}

/* containers' annotations: all that is to be known stands in them. */
static int chunked_binding(const ol_descriptor *layer, const char *checksum_key,
	const char *position_key, ol_toc_binding *out, ol_error *err)
{
	static const char tar_split_key[] = "io.github.containers.zstd-chunked.tarsplit-position";
	const char *checksum = ol_descriptor_annotation(layer, checksum_key);
	const char *position = ol_descriptor_annotation(layer, position_key);
	const char *tar_split = ol_descriptor_annotation(layer, tar_split_key);
	ol_toc_binding binding = { .format = OL_TOC_ZSTD_CHUNKED };
	uint64_t numbers[4];
	int rc;

	if (!checksum || !position)
		return OL_ENOTFOUND;
	rc = read_digest(checksum_key, checksum, &binding.toc, err);
	if (rc < 0)
		return rc;
	if (!read_numbers(position, numbers, 4) || numbers[3] != TOC_TYPE_CRFS)
		return ol_fail(err, OL_ECORRUPT, "the annotation %s is not OFFSET:SIZE:SIZE:1",
			position_key);
	binding.place = (ol_toc_place){ .format = OL_TOC_ZSTD_CHUNKED,
		.toc = { numbers[0], numbers[1] },
		.toc_raw_size = numbers[2] };
	rc = check_range(&binding.place.toc, layer->size, "the table of contents", err);
	if (rc == OL_OK)
		rc = check_raw(numbers[2], "the table of contents", err);
	if (rc == OL_OK && tar_split) {
		if (!read_numbers(tar_split, numbers, 3))
			return ol_fail(err, OL_ECORRUPT,
				"the annotation %s is not OFFSET:SIZE:SIZE", tar_split_key);
		binding.place.tar_split = (ol_toc_range){ numbers[0], numbers[1] };
		binding.place.tar_split_raw_size = numbers[2];
		rc = check_range(&binding.place.tar_split, layer->size, "the tar-split", err);
		if (rc == OL_OK)
			rc = check_raw(numbers[2], "the tar-split", err);
	}
	if (rc == OL_OK)
		*out = binding;
	return rc;
}

int ol_toc_binding_of(const ol_descriptor *layer, ol_toc_binding *out, ol_error *err)
{
	static const char digest_key[] = "containerd.io/snapshot/stargz/toc.digest";
	static const char *const chunked[][2] = {
		{ "io.github.containers.zstd-chunked.manifest-checksum",
			"io.github.containers.zstd-chunked.manifest-position" },
		{ "io.containers.zstd-chunked.manifest-checksum",
			"io.containers.zstd-chunked.manifest-position" },
	};
	const char *digest = ol_descriptor_annotation(layer, digest_key);
	ol_toc_binding binding = { .toc_is_raw = true };
	int rc = OL_ENOTFOUND;

	for (size_t i = 0; rc == OL_ENOTFOUND && i < sizeof chunked / sizeof *chunked; i++)
		rc = chunked_binding(layer, chunked[i][0], chunked[i][1], out, err);
	if (rc != OL_ENOTFOUND)
		return rc;
	if (!digest)
		return ol_fail(err, OL_ENOTFOUND, "no annotation binds a table of contents to it");
	binding.format = layer->media.compression == OL_COMPRESSION_ZSTD ? OL_TOC_ZSTD_CHUNKED
									 : OL_TOC_ESTARGZ;
	rc = read_digest(digest_key, digest, &binding.toc, err);
	if (rc == OL_OK)
		*out = binding;
	return rc;
}
