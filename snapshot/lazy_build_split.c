/*
 * With a tar-split the tar is known but for its files' data: its headers are pushed as they are,
 * and the index is the one that an eager pull makes. Table and tar-split go side by side, entry for
 * entry; where they disagree, who reads one sees another layer than who reads the other.
 *
 *	table      entry ─────────────────────── entry ───── …
 *	tar-split  segment* file (data passed)   segment* file …   segment*
 */
#include <string.h>

#include "manifest/tar_split.h"
#include "snapshot/lazy_build_priv.h"

#define REPLACEMENT "\xef\xbf\xbd"

struct reader {
	ol_lazy_maker *maker; /* lent */
	ol_tar_split *split;  /* owned */
};

static int differ(const char *what, const ol_toc_entry *entry, ol_error *err)
{
	ol_auto_str ol_str name = OL_STR(256);

	(void)ol_str_add_safe(&name, entry->name);
	return ol_fail(err, OL_ECORRUPT,
		"the table of contents and the tar-split differ in %s of %s", what,
		ol_str_text(&name));
}

/* A directory may come with its slash or without. */
static ol_view without_slash(ol_view name)
{
	while (name.size > 0 && name.data[name.size - 1] == '/')
		name.size--;
	return name;
}

/* Whether JSON makes told of raw: each byte that is no UTF-8 became U+FFFD. */
static bool is_name(ol_view raw, ol_view told)
{
	raw = without_slash(raw);
	told = without_slash(told);
	while (raw.size > 0) {
		size_t size = ol_utf8_size(raw);
		const ol_view want = size ? (ol_view){ raw.data, size }
					  : (ol_view){ REPLACEMENT, strlen(REPLACEMENT) };

		if (told.size < want.size || memcmp(told.data, want.data, want.size) != 0)
			return false;
		told = (ol_view){ told.data + want.size, told.size - want.size };
		size = size ? size : 1;
		raw = (ol_view){ raw.data + size, raw.size - size };
	}
	return told.size == 0;
}

/* Pushes segments up to the next file's data; *more is false at the end. */
static int next_file(struct reader *reader, ol_tar_split_item *out, bool *more, ol_error *err)
{
	for (;;) {
		int rc = ol_tar_split_next(reader->split, out, more, err);

		if (rc < 0 || !*more || out->is_file)
			return rc;
		rc = ol_lazy_maker_push(reader->maker, out->segment, err);
		if (rc < 0)
			return rc;
	}
}

static int take_entry(void *ctx, const ol_toc_entry *entry, ol_error *err)
{
	struct reader *reader = ctx;
	ol_lazy_maker *maker = reader->maker;
	ol_tar_split_item item;
	bool more;
	int rc;

	maker->member = (ol_lazy_member){ 0 };
	rc = next_file(reader, &item, &more, err);
	if (rc < 0)
		return rc;
	if (!more)
		return differ("the tar's end, before the entry", entry, err);
	if (!is_name(item.name, entry->name))
		return differ("the name", entry, err);
	if (entry->type != OL_TAR_FILE)
		return maker->member.is_data ? differ("the type", entry, err) : OL_OK;
	if (item.size != entry->size ||
		(maker->member.is_data && maker->member.size != entry->size))
		return differ("the size", entry, err);
	rc = ol_lazy_maker_pass(maker, item.size, err);
	/* A whiteout's data, should it have any, nobody reads. */
	if (rc < 0 || !maker->member.is_data)
		return rc;
	return ol_lazy_maker_chunks(maker, entry->chunks, entry->chunk_count, err);
}

/* Behind the last entry there is only what ends the tar. */
static int read_end(struct reader *reader, ol_error *err)
{
	ol_tar_split_item item;
	bool more;
	int rc;

	reader->maker->member = (ol_lazy_member){ .is_there = true };
	rc = next_file(reader, &item, &more, err);
	if (rc == OL_OK && more)
		rc = ol_fail(
			err, OL_ECORRUPT, "the tar-split lists more than the table of contents");
	return rc;
}

int ol_lazy_read_split(ol_lazy_maker *maker, ol_error *err)
{
	const ol_toc_range *place = &maker->toc->place;
	const uint64_t blob_end = place->size ? place->offset : maker->options->blob_size;
	struct reader reader = { .maker = maker, .split = ol_tar_split_new(maker->toc->tar_split) };
	int rc;

	maker->table.about.layout = OL_LAZY_TAR;
	maker->place = OL_TOC_NOWHERE;
	rc = ol_toc_json_parse(
		maker->toc->bytes, blob_end, &(ol_toc_handler){ take_entry, &reader }, err);
	if (rc == OL_OK)
		rc = read_end(&reader, err);
	ol_tar_split_free(reader.split);
	maker->tar_length = maker->tar_bytes;
	return rc < 0 ? rc : ol_lazy_maker_join(maker, blob_end, err);
}
