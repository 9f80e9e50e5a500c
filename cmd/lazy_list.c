#include "cmd/lazy_list.h"

#include "base/alloc.h"
#include "cmd/listing.h"
#include "cmd/size.h"
#include "image/lazy.h"

static const ol_column columns[] = {
	{ "Layer", "LAYER" },
	{ "Image", "IMAGE" },
	{ "Format", "FORMAT" },
	{ "State", "STATE" },
	{ "Present", "PRESENT" },
	{ "Missing", "MISSING" },
	{ "Fetching", "FETCHING" },
	{ "Waiting", "WAITING" },
	{ "Hits", "HITS" },
	{ "Misses", "MISSES" },
	{ "Failures", "FAILURES" },
	{ "Requests", "REQUESTS" },
	{ "Demand", "DEMAND" },
	{ "Ahead", "AHEAD" },
	{ "Prefetch", "PREFETCH" },
	{ "Background", "BACKGROUND" },
	{ "Engine", "ENGINE" },
	{ "Why", "WHY" },
	{ NULL, NULL },
};

static uint64_t present_of(const ol_lazy_row *row)
{
	const uint64_t present = row->counters->blob_bytes;

	return present < row->layer.blob_size ? present : row->layer.blob_size;
}

static const char *state_of(const ol_lazy_counters *counters)
{
	const uint32_t phase = counters->phase;

	return ol_lazy_phase_name(phase <= OL_LAZY_POISONED ? (ol_lazy_phase)phase : OL_LAZY_IDLE);
}

static ol_json *machine_row(const ol_lazy_row *row)
{
	const ol_lazy_counters *counters = row->counters;
	ol_json *json = ol_json_object(), *bytes = ol_json_object();

	ol_json_set_text(json, "Layer", ol_digest_format(&row->layer.diff_id).text);
	ol_json_set_text(json, "Blob", ol_digest_format(&row->layer.blob).text);
	ol_json_set_text(json, "Image", row->image);
	ol_json_set_text(json, "Format", row->format);
	ol_json_set_text(json, "State", state_of(counters));
	ol_json_set_text(json, "Engine", row->engine);
	ol_json_set_text(json, "Why", row->words);
	ol_json_set_int(json, "Size", (int64_t)row->layer.blob_size);
	ol_json_set_int(json, "Present", (int64_t)present_of(row));
	ol_json_set_int(json, "Missing", (int64_t)(row->layer.blob_size - present_of(row)));
	ol_json_set_int(json, "Fetching", (int64_t)counters->fetching);
	ol_json_set_int(json, "PayloadSize", (int64_t)row->payload_bytes);
	ol_json_set_int(json, "PayloadPresent", (int64_t)counters->payload_present);
	ol_json_set_int(json, "Waiting", (int64_t)counters->waiting);
	ol_json_set_int(json, "Hits", (int64_t)counters->hits);
	ol_json_set_int(json, "Misses", (int64_t)counters->misses);
	ol_json_set_int(json, "Failures", (int64_t)counters->failures);
	ol_json_set_int(json, "Requests", (int64_t)counters->requests);
	ol_json_set_int(json, "Refetched", (int64_t)counters->refetched);
	for (int cause = 0; cause < OL_LAZY_CAUSES; cause++)
		ol_json_set_int(bytes, ol_lazy_cause_name((ol_lazy_cause)cause),
			(int64_t)counters->bytes[cause]);
	ol_json_set(json, "Bytes", bytes);
	return json;
}

static void set_size(ol_json *json, const char *field, uint64_t bytes)
{
	ol_json_set_text(json, field, ol_size_format(bytes).text);
}

static ol_json *human_row(const ol_lazy_row *row, bool whole)
{
	const ol_lazy_counters *counters = row->counters;
	ol_autofree char *present = ol_text("%s of %s", ol_size_format(present_of(row)).text,
		ol_size_format(row->layer.blob_size).text);
	ol_json *json = ol_json_object();

	ol_json_set_text(json, "Layer",
		whole ? ol_digest_format(&row->layer.diff_id).text
		      : ol_digest_short(&row->layer.diff_id).text);
	ol_json_set_text(json, "Image", row->image);
	ol_json_set_text(json, "Format", row->format);
	ol_json_set_text(json, "State", state_of(counters));
	ol_json_set_text(json, "Present", present);
	set_size(json, "Missing", row->layer.blob_size - present_of(row));
	set_size(json, "Fetching", counters->fetching);
	ol_json_set_int(json, "Waiting", (int64_t)counters->waiting);
	ol_json_set_int(json, "Hits", (int64_t)counters->hits);
	ol_json_set_int(json, "Misses", (int64_t)counters->misses);
	ol_json_set_int(json, "Failures", (int64_t)counters->failures);
	ol_json_set_int(json, "Requests", (int64_t)counters->requests);
	set_size(json, "Demand", counters->bytes[OL_LAZY_DEMAND]);
	set_size(json, "Ahead", counters->bytes[OL_LAZY_AHEAD]);
	set_size(json, "Prefetch", counters->bytes[OL_LAZY_PREFETCH]);
	set_size(json, "Background", counters->bytes[OL_LAZY_BACKGROUND]);
	ol_json_set_text(json, "Engine", row->engine);
	ol_json_set_text(json, "Why", row->words);
	return json;
}

static int on_row(void *ctx, const ol_lazy_row *row, ol_error *err)
{
	ol_listing *listing = ctx;

	return ol_listing_add(listing,
		ol_listing_is_json(listing) ? machine_row(row)
					    : human_row(row, ol_listing_is_whole(listing)),
		err);
}

static int fill(ol_context *ctx, ol_session *session, ol_listing *listing, ol_error *err)
{
	(void)ctx;
	return ol_lazy_each(session, on_row, listing, err);
}

int ol_show_lazy(ol_context *ctx, ol_error *err)
{
	static const ol_listing_shape shape = { columns,
		"{{.Layer}}\t{{.Image}}\t{{.Format}}\t{{.State}}\t{{.Present}}\t{{.Fetching}}\t{{."
		"Waiting}}\t{{.Hits}}\t{{.Misses}}\t{{.Engine}}\t{{.Why}}",
		"Layer" };

	return ol_listing_show(ctx, &shape, fill, err);
}
