/*
 * A table is its vtable, then an offset back to it, then its fields in order, each of 8 bytes.
 * Texts and children follow and are filled in where they are pointed at.
 */
#include "tests/ztoc_builder.h"

#include <string.h>

#include "base/alloc.h"

#define FIELDS_MAX   14
#define WINDOW_BYTES 32768

static void put(ol_buf *out, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		(void)ol_str_addc(out, (char)(value >> (8 * i)));
}

static void put_at(ol_buf *out, size_t at, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out->data[at + i] = (char)(value >> (8 * i));
}

/* What is at at points to what comes next. */
static void point(ol_buf *out, size_t at)
{
	put_at(out, at, out->size - at, 4);
}

/* A table with as many fields, those of present (a bit each); gives where it is. */
static size_t table(ol_buf *out, unsigned fields, unsigned present)
{
	const size_t vtable = out->size;
	size_t at;

	put(out, 4 + 2 * (uint64_t)fields, 2);
	put(out, 4 + 8 * (uint64_t)fields, 2);
	for (unsigned i = 0; i < fields; i++)
		put(out, present & 1U << i ? 4 + 8 * i : 0, 2);
	at = out->size;
	put(out, at - vtable, 4);
	for (unsigned i = 0; i < fields; i++)
		put(out, 0, 8);
	return at;
}

static size_t field(size_t table_at, unsigned index)
{
	return table_at + 4 + 8 * (size_t)index;
}

static void text(ol_buf *out, size_t at, ol_view value)
{
	point(out, at);
	put(out, value.size, 4);
	(void)ol_buf_add(out, value.data, value.size);
	(void)ol_str_addc(out, '\0');
}

/* A vector of as many offsets; gives the first's place. */
static size_t offsets(ol_buf *out, size_t at, size_t count)
{
	size_t first;

	point(out, at);
	put(out, count, 4);
	first = out->size;
	for (size_t i = 0; i < count; i++)
		put(out, 0, 4);
	return first;
}

static void put_records(ol_buf *out, size_t at, const ztoc_record *records)
{
	size_t count = 0, first;

	while (count < 4 && records[count].key)
		count++;
	first = offsets(out, at, count);
	for (size_t i = 0; i < count; i++) {
		const size_t pair = table(out, 2, 3);

		put_at(out, first + 4 * i, pair - (first + 4 * i), 4);
		text(out, field(pair, 0), ol_view_of(records[i].key));
		text(out, field(pair, 1), ol_view_of(records[i].value));
	}
}

static void put_member(ol_buf *out, size_t at, const ztoc_member *m)
{
	const size_t t = table(out, FIELDS_MAX, 0x3fff);
	const struct {
		unsigned field;
		uint64_t value;
		size_t size;
	} numbers[] = {
		{ 2, (uint64_t)m->offset, 8 },
		{ 3, (uint64_t)m->size, 8 },
		{ 5, (uint64_t)m->mode, 8 },
		{ 6, m->uid, 4 },
		{ 7, m->gid, 4 },
		{ 11, (uint64_t)m->major, 8 },
		{ 12, (uint64_t)m->minor, 8 },
	};

	put_at(out, at, t - at, 4);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		put_at(out, field(t, numbers[i].field), numbers[i].value, numbers[i].size);
	text(out, field(t, 0),
		ol_view_from(m->name, m->name_size ? m->name_size : strlen(m->name)));
	text(out, field(t, 1), ol_view_of(m->type ? m->type : "reg"));
	text(out, field(t, 4), ol_view_of(m->link ? m->link : ""));
	text(out, field(t, 8), ol_view_of("root"));
	text(out, field(t, 9), ol_view_of("root"));
	text(out, field(t, 10), ol_view_of(m->time ? m->time : "1970-01-01T00:00:00Z"));
	put_records(out, field(t, 13), m->records);
}

static void put_toc(ol_buf *out, size_t at, const ztoc_member *members)
{
	const size_t t = table(out, 1, 1);
	size_t count = 0, first;

	put_at(out, at, t - at, 4);
	while (members[count].name)
		count++;
	first = offsets(out, field(t, 0), count);
	for (size_t i = 0; i < count; i++)
		put_member(out, first + 4 * i, &members[i]);
}

static void put_compression(ol_buf *out, size_t at, const ztoc_spec *spec)
{
	const size_t t = table(out, 4, spec->algorithm ? 0xf : 0xe);
	size_t first;

	put_at(out, at, t - at, 4);
	put_at(out, field(t, 0), (uint64_t)spec->algorithm, 1);
	put_at(out, field(t, 1), (uint32_t)spec->max_span, 4);
	first = offsets(out, field(t, 2), spec->digest_count);
	for (size_t i = 0; i < spec->digest_count; i++)
		text(out, first + 4 * i, ol_view_of(spec->digests[i]));
	point(out, field(t, 3));
	put(out, spec->checkpoints.size, 4);
	(void)ol_buf_add(out, spec->checkpoints.data, spec->checkpoints.size);
}

ol_buf ztoc_build(const ztoc_spec *spec)
{
	ol_buf out = OL_BUF(ZTOC_BYTES_MAX);
	unsigned present = 0xf | (spec->members ? 0x10 : 0) | (spec->no_compression ? 0 : 0x20);
	size_t t;

	put(&out, 0, 4);
	t = table(&out, 6, present);
	put_at(&out, 0, t, 4);
	put_at(&out, field(t, 2), (uint64_t)spec->blob_size, 8);
	put_at(&out, field(t, 3), (uint64_t)spec->tar_size, 8);
	text(&out, field(t, 0), ol_view_of(spec->version ? spec->version : "0.9"));
	text(&out, field(t, 1), ol_view_of("a test"));
	if (spec->members)
		put_toc(&out, field(t, 4), spec->members);
	if (!spec->no_compression)
		put_compression(&out, field(t, 5), spec);
	return out;
}

ol_buf ztoc_zinfo(int32_t count, int64_t span, const ztoc_point *points, size_t skip, size_t end)
{
	ol_buf out = OL_BUF(ZTOC_BYTES_MAX);

	put(&out, (uint32_t)count, 4);
	put(&out, (uint64_t)span, 8);
	for (size_t i = skip; i < end; i++) {
		static const char zeros[WINDOW_BYTES];

		put(&out, (uint64_t)points[i].in, 8);
		put(&out, (uint64_t)points[i].out, 8);
		put(&out, points[i].bits, 1);
		(void)ol_buf_add(&out, zeros, WINDOW_BYTES - points[i].window.size);
		(void)ol_buf_add(&out, points[i].window.data, points[i].window.size);
	}
	return out;
}

ol_buf ztoc_tar_zinfo(int64_t span, int64_t size)
{
	ol_buf out = OL_BUF(ZTOC_BYTES_MAX);
	size_t t;

	put(&out, 0, 4);
	t = table(&out, 3, 7);
	put_at(&out, 0, t, 4);
	put_at(&out, field(t, 0), 1, 4);
	put_at(&out, field(t, 1), (uint64_t)span, 8);
	put_at(&out, field(t, 2), (uint64_t)size, 8);
	return out;
}
