#include "cmd/progress_model.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/limits.h"

#define SAMPLE_MS 250
/* All layers of all platforms of an index: more would be a mistake of ours. */
#define LAYERS_MAX ((size_t)OL_LAYERS_MAX * 64)

static void sample(ol_rate *rate, uint64_t bytes, uint64_t now_ms)
{
	unsigned newest = (rate->next + OL_RATE_SAMPLES - 1) % OL_RATE_SAMPLES;

	if (rate->count && now_ms - rate->at_ms[newest] < SAMPLE_MS)
		return;
	rate->at_ms[rate->next] = now_ms;
	rate->bytes[rate->next] = bytes;
	rate->next = (rate->next + 1) % OL_RATE_SAMPLES;
	if (rate->count < OL_RATE_SAMPLES)
		rate->count++;
}

uint64_t ol_rate_of(const ol_rate *rate)
{
	unsigned newest = (rate->next + OL_RATE_SAMPLES - 1) % OL_RATE_SAMPLES;
	unsigned oldest = rate->count < OL_RATE_SAMPLES ? 0 : rate->next;
	uint64_t ms;

	if (rate->count < 2 || rate->bytes[newest] < rate->bytes[oldest])
		return 0;
	ms = rate->at_ms[newest] - rate->at_ms[oldest];
	return ms ? (uint64_t)((double)(rate->bytes[newest] - rate->bytes[oldest]) * 1000 /
			       (double)ms)
		  : 0;
}

static void copy_safe(char *out, size_t size, const char *text)
{
	ol_auto_str ol_str safe = OL_STR(4096);

	(void)ol_str_add_safe(&safe, ol_view_of(text ? text : ""));
	(void)snprintf(out, size, "%s", ol_str_text(&safe));
}

static ol_progress_layer *layer_of(ol_progress_model *model, const ol_event *event)
{
	size_t count = event->layers > event->layer ? event->layers : (size_t)event->layer + 1;

	if (count > LAYERS_MAX)
		return NULL;
	if (count > model->count) {
		model->layers = ol_realloc_array(model->layers, count, sizeof *model->layers);
		memset(model->layers + model->count, 0,
			(count - model->count) * sizeof *model->layers);
		model->count = count;
	}
	return &model->layers[event->layer];
}

static uint64_t fetched_of(const ol_progress_layer *layer)
{
	return layer->done > layer->resumed ? layer->done - layer->resumed : 0;
}

static bool apply_layer(ol_progress_model *model, const ol_event *event, uint64_t now_ms)
{
	ol_progress_layer *layer = layer_of(model, event);
	bool changed;

	if (!layer)
		return false;
	/* What was there already stays so, whoever calls it complete: it was not fetched. */
	if (layer->known && layer->state == OL_LAYER_EXISTS && event->state == OL_LAYER_COMPLETE)
		return false;
	changed = !layer->known || layer->state != event->state;
	layer->known = true;
	layer->digest = event->digest;
	layer->state = event->state;
	layer->done = event->done;
	layer->total = event->total;
	layer->resumed = event->resumed;
	if (event->state == OL_LAYER_RETRYING || event->state == OL_LAYER_MOUNTED)
		copy_safe(layer->why, sizeof layer->why, event->text);
	sample(&layer->rate, fetched_of(layer), now_ms);
	return changed;
}

static void apply_task(ol_progress_model *model, const ol_event *event, uint64_t now_ms)
{
	if (!model->task_on)
		model->task_start_ms = now_ms;
	copy_safe(model->task, sizeof model->task, event->text);
	model->task_done = event->done;
	model->task_total = event->total;
	model->task_on = event->total == 0 || event->done < event->total;
}

bool ol_progress_apply(ol_progress_model *model, const ol_event *event, uint64_t now_ms)
{
	bool changed = false;

	if (event->kind == OL_EVENT_LAYER)
		changed = apply_layer(model, event, now_ms);
	else if (event->kind == OL_EVENT_PROGRESS)
		apply_task(model, event, now_ms);
	return changed;
}

/* No byte of it has to move. */
static bool is_there(ol_layer_state state)
{
	return state == OL_LAYER_EXISTS || state == OL_LAYER_MOUNTED;
}

const char *ol_progress_word(ol_progress_verb verb, ol_layer_state state)
{
	static const char *const words[][3] = {
		[OL_LAYER_WAITING] = { "Pulling fs layer", "Preparing", "Waiting" },
		[OL_LAYER_FETCHING] = { "Downloading", "Pushing", "Copying" },
		[OL_LAYER_UNPACKING] = { "Extracting", "Compressing", "Processing" },
		[OL_LAYER_EXISTS] = { "Already exists", "Layer already exists", "Already exists" },
		[OL_LAYER_ELSEWHERE] = { "Waiting for another pull of it",
			"Waiting for a pull of it", "Waiting for a pull of it" },
		[OL_LAYER_RETRYING] = { "Retrying", "Retrying", "Retrying" },
		[OL_LAYER_COMPLETE] = { "Pull complete", "Pushed", "Copied" },
		[OL_LAYER_FAILED] = { "Failed", "Failed", "Failed" },
		[OL_LAYER_LAZY] = { "Lazy", "Lazy", "Lazy" },
		[OL_LAYER_MOUNTED] = { "Mounted", "Mounted from", "Mounted from" },
	};

	return words[state][verb];
}

ol_progress_sum ol_progress_sum_of(const ol_progress_model *model)
{
	ol_progress_sum sum = { 0 };

	for (const ol_progress_layer *layer = model->layers; layer < model->layers + model->count;
		layer++) {
		sum.layers++;
		sum.existing += layer->known && is_there(layer->state);
		sum.failed += layer->known && layer->state == OL_LAYER_FAILED;
		sum.finished += layer->known &&
				(layer->state == OL_LAYER_COMPLETE ||
					layer->state == OL_LAYER_LAZY || is_there(layer->state));
		if (is_there(layer->state) || layer->state == OL_LAYER_LAZY)
			continue;
		sum.done += layer->done;
		sum.total += layer->total;
		sum.fetched += fetched_of(layer);
	}
	return sum;
}

void ol_progress_tick(ol_progress_model *model, uint64_t now_ms)
{
	for (ol_progress_layer *layer = model->layers; layer < model->layers + model->count;
		layer++)
		if (layer->state == OL_LAYER_FETCHING)
			sample(&layer->rate, fetched_of(layer), now_ms);
	sample(&model->rate, ol_progress_sum_of(model).fetched, now_ms);
}

bool ol_progress_is_over(const ol_progress_model *model)
{
	ol_progress_sum sum = ol_progress_sum_of(model);

	return sum.finished + sum.failed == sum.layers && !model->task_on;
}

void ol_progress_model_done(ol_progress_model *model)
{
	free(model->layers);
	*model = (ol_progress_model){ 0 };
}
