#include <stdio.h>

#include "cmd/progress_model.h"
#include "cmd/size.h"
#include "manifest/json.h"

/* Lines for pipes (docker's words) and for programs (docs/progress.md). */

#define PLAIN_MS 5000 /* between two lines that only count */
#define JSON_MS  500  /* between two lines about one layer's bytes */

static void plain_sum(ol_progress_model *model, uint64_t now_ms, ol_str *out)
{
	ol_progress_sum sum = ol_progress_sum_of(model);
	uint64_t rate = ol_rate_of(&model->rate);

	if (now_ms - (model->told_ms ? model->told_ms : model->start_ms) < PLAIN_MS)
		return;
	model->told_ms = now_ms;
	(void)ol_str_addf(out, "%zu of %zu layers, %s of %s", sum.finished, sum.layers,
		ol_size_format(sum.done).text, ol_size_format(sum.total).text);
	if (rate)
		(void)ol_str_addf(out, ", %s/s", ol_size_format(rate).text);
	if (rate && sum.total > sum.done)
		(void)ol_str_addf(out, ", %s left",
			ol_seconds_format((sum.total - sum.done) / rate + 1).text);
	(void)ol_str_addc(out, '\n');
}

static void plain_layer(
	ol_progress_model *model, const ol_event *event, bool changed, uint64_t now_ms, ol_str *out)
{
	if (!changed) {
		plain_sum(model, now_ms, out);
		return;
	}
	(void)ol_str_addf(out, "%s: %s", ol_digest_short(&event->digest).text,
		ol_progress_word(model->verb, event->state));
	if (event->state == OL_LAYER_FETCHING) {
		(void)ol_str_addf(out, " %s", ol_size_format(event->total).text);
		if (event->resumed)
			(void)ol_str_addf(out, ", %s of it there already",
				ol_size_format(event->resumed).text);
	}
	if ((event->state == OL_LAYER_RETRYING || event->state == OL_LAYER_MOUNTED) &&
		event->text) {
		(void)ol_str_add(out, event->state == OL_LAYER_MOUNTED ? " " : ": ");
		(void)ol_str_add_safe(out, ol_view_of(event->text));
	}
	(void)ol_str_addc(out, '\n');
}

static void plain_task(ol_progress_model *model, uint64_t now_ms, ol_str *out)
{
	if (!model->task_on ||
		now_ms - (model->told_ms > model->task_start_ms ? model->told_ms
								: model->task_start_ms) <
			PLAIN_MS)
		return;
	model->told_ms = now_ms;
	(void)ol_str_add(out, model->task);
	if (model->task_total)
		(void)ol_str_addf(out, ": %u%%",
			(unsigned)((double)model->task_done * 100 / (double)model->task_total));
	(void)ol_str_addc(out, '\n');
}

void ol_progress_plain(
	ol_progress_model *model, const ol_event *event, bool changed, uint64_t now_ms, ol_str *out)
{
	if (event->kind == OL_EVENT_LAYER)
		plain_layer(model, event, changed, now_ms, out);
	else if (event->kind == OL_EVENT_PROGRESS)
		plain_task(model, now_ms, out);
}

static const char *json_state(ol_progress_verb verb, ol_layer_state state)
{
	static const char *const words[] = {
		[OL_LAYER_WAITING] = "waiting",
		[OL_LAYER_FETCHING] = "fetching",
		[OL_LAYER_UNPACKING] = "unpacking",
		[OL_LAYER_EXISTS] = "exists",
		[OL_LAYER_ELSEWHERE] = "elsewhere",
		[OL_LAYER_RETRYING] = "retrying",
		[OL_LAYER_COMPLETE] = "complete",
		[OL_LAYER_FAILED] = "failed",
		[OL_LAYER_LAZY] = "lazy",
		[OL_LAYER_MOUNTED] = "mounted",
	};

	return state == OL_LAYER_FETCHING && verb != OL_PROGRESS_PULLS ? "sending" : words[state];
}

static void json_layer(const ol_progress_model *model, const ol_event *event, ol_json *line)
{
	ol_json_set_int(line, "layer", event->layer);
	ol_json_set_int(line, "layers", event->layers);
	ol_json_set_text(line, "digest", ol_digest_format(&event->digest).text);
	ol_json_set_text(line, "state", json_state(model->verb, event->state));
	ol_json_set_int(line, "done", (int64_t)event->done);
	ol_json_set_int(line, "total", (int64_t)event->total);
	ol_json_set_int(line, "resumed", (int64_t)event->resumed);
	if (event->layer < model->count)
		ol_json_set_int(
			line, "rate", (int64_t)ol_rate_of(&model->layers[event->layer].rate));
	if (event->text)
		ol_json_set_text(line, "reason", event->text);
}

/* The last line about this event's layer (or task) is long enough ago. */
static bool is_due(ol_progress_model *model, const ol_event *event, bool changed, uint64_t now_ms)
{
	uint64_t *told = event->kind == OL_EVENT_LAYER && event->layer < model->count
				 ? &model->layers[event->layer].told_ms
				 : &model->told_ms;

	if (!changed && *told && now_ms - *told < JSON_MS)
		return false;
	*told = now_ms;
	return true;
}

void ol_progress_json(
	ol_progress_model *model, const ol_event *event, bool changed, uint64_t now_ms, ol_str *out)
{
	static const char *const names[] = {
		[OL_EVENT_RESOLVED] = "resolved",
		[OL_EVENT_LAYER] = "layer",
		[OL_EVENT_NOTE] = "note",
		[OL_EVENT_WARNING] = "warning",
		[OL_EVENT_PROGRESS] = "progress",
	};
	ol_auto(ol_json_free) ol_json *line = NULL;

	if (event->kind == OL_EVENT_DONE)
		return; /* the command tells it, with more than the event has */
	if ((event->kind == OL_EVENT_LAYER || event->kind == OL_EVENT_PROGRESS) &&
		!is_due(model, event, changed, now_ms))
		return;
	line = ol_json_object();
	ol_json_set_text(line, "event", names[event->kind]);
	ol_json_set_int(line, "ms", (int64_t)(now_ms - model->start_ms));
	switch (event->kind) {
	case OL_EVENT_RESOLVED:
		ol_json_set_text(line, "ref", event->text ? event->text : "");
		ol_json_set_text(line, "digest", ol_digest_format(&event->digest).text);
		break;
	case OL_EVENT_LAYER:
		json_layer(model, event, line);
		break;
	case OL_EVENT_PROGRESS:
		ol_json_set_int(line, "done", (int64_t)event->done);
		ol_json_set_int(line, "total", (int64_t)event->total);
		ol_json_set_text(line, "text", event->text ? event->text : "");
		break;
	case OL_EVENT_NOTE:
	case OL_EVENT_WARNING:
	case OL_EVENT_DONE:
		ol_json_set_text(line, "text", event->text ? event->text : "");
		break;
	}
	if (ol_json_format(line, OL_JSON_COMPACT, out, NULL) == OL_OK)
		(void)ol_str_addc(out, '\n');
}
