#include <stdio.h>

#include "cmd/progress_model.h"
#include "cmd/size.h"
#include "cmd/table.h"

/*
 * Frames for a terminal.
 *
 *	2f44b7a888fa Downloading    ━━━━━━━━━━━━━━╺──────────────  24.1MB/49.3MB   8.1MB/s     5s
 *	c0a1e5f0b3a1 Pull complete                                       133kB
 *	3 of 31 layers              ━━━━╺────────────────────────  61.2MB/133MB   12.3MB/s     6s
 *
 * Where there are more layers than lines, only those that something happens to are shown.
 */

#define TASK_QUIET_MS 500 /* work shorter than this is not worth a line */
#define WORD_COLUMNS  14
#define BAR_MIN       10
#define BAR_MAX       40

static const char *word_of(ol_progress_verb verb, ol_layer_state state)
{
	if (verb != OL_PROGRESS_PULLS)
		return ol_progress_word(verb, state);
	switch (state) {
	case OL_LAYER_WAITING:
		return "Waiting";
	case OL_LAYER_FETCHING:
		return "Downloading";
	case OL_LAYER_UNPACKING:
		return "Extracting";
	case OL_LAYER_EXISTS:
		return "Already exists";
	case OL_LAYER_ELSEWHERE:
		return "Pulled already"; /* by another process: we wait */
	case OL_LAYER_RETRYING:
		return "Retrying";
	case OL_LAYER_COMPLETE:
		return "Pull complete";
	case OL_LAYER_FAILED:
		return "Failed";
	case OL_LAYER_LAZY:
		return "Lazy";
	case OL_LAYER_MOUNTED:
		return "Mounted";
	}
	return "";
}

static bool is_active(const ol_progress_layer *layer)
{
	return layer->known && layer->state != OL_LAYER_WAITING &&
	       layer->state != OL_LAYER_EXISTS && layer->state != OL_LAYER_COMPLETE &&
	       layer->state != OL_LAYER_LAZY && layer->state != OL_LAYER_MOUNTED;
}

static void add_bar(
	const ol_screen *screen, uint64_t done, uint64_t total, unsigned columns, ol_str *out)
{
	double part = total ? (double)done / (double)total : 0;
	unsigned full = (unsigned)((part > 1 ? 1 : part) * columns);

	(void)ol_str_add(out, screen->colour ? "\033[32m" : "");
	for (unsigned i = 0; i < full; i++)
		(void)ol_str_add(out, screen->utf8                      ? "━"
				      : i + 1 == full && full < columns ? ">"
									: "=");
	(void)ol_str_add(out, screen->colour ? "\033[0;2m" : "");
	for (unsigned i = full; i < columns; i++)
		(void)ol_str_add(out, !screen->utf8 ? " " : i == full ? "╺" : "─");
	(void)ol_str_add(out, screen->colour ? "\033[0m" : "");
}

/* What stands right of the bar: "  24.1MB/49.3MB   8.1MB/s     5s", 36 columns. */
static void add_numbers(uint64_t done, uint64_t total, uint64_t rate, ol_str *out)
{
	char amount[40], speed[24] = "";

	(void)snprintf(amount, sizeof amount, "%s/%s", ol_size_format(done).text,
		ol_size_format(total).text);
	if (rate)
		(void)snprintf(speed, sizeof speed, "%s/s", ol_size_format(rate).text);
	(void)ol_str_addf(out, " %15s %10s %7s", amount, speed,
		rate && total > done ? ol_seconds_format((total - done) / rate + 1).text : "");
}
#define NUMBER_COLUMNS 35

/* A line that has no bar, or no room for one: text, cut to the screen. */
static void add_cut(const ol_screen *screen, const char *text, ol_str *out)
{
	size_t width = 0, end = 0;

	for (; text[end]; end++)
		if (((unsigned char)text[end] & 0xc0) != 0x80 && ++width > screen->columns)
			break;
	(void)ol_str_addv(out, ol_view_from(text, end));
	(void)ol_str_addc(out, '\n');
}

/* label, bar and numbers: for a layer, for all of them, for a task. */
static void add_line(const ol_screen *screen, const char *label, uint64_t done, uint64_t total,
	uint64_t rate, ol_str *out)
{
	unsigned label_columns = 12 + 1 + WORD_COLUMNS + 1, bar;
	ol_auto_str ol_str short_line = OL_STR(1024);

	if (screen->columns < label_columns + BAR_MIN + NUMBER_COLUMNS || !total) {
		(void)ol_str_addf(&short_line, "%-*s %3u%%", (int)(label_columns - 1), label,
			total ? (unsigned)((double)done * 100 / (double)total) : 0);
		add_cut(screen, total ? ol_str_text(&short_line) : label, out);
		return;
	}
	bar = screen->columns - label_columns - NUMBER_COLUMNS;
	/* %-*s counts bytes: pad by hand. */
	(void)ol_str_add(out, label);
	for (size_t width = ol_text_width(ol_view_of(label)); width < label_columns; width++)
		(void)ol_str_addc(out, ' ');
	add_bar(screen, done, total, bar > BAR_MAX ? BAR_MAX : bar, out);
	add_numbers(done, total, rate, out);
	(void)ol_str_addc(out, '\n');
}

static void add_layer(
	const ol_screen *screen, ol_progress_verb verb, const ol_progress_layer *layer, ol_str *out)
{
	char label[256];

	if (!layer->known)
		return;
	(void)snprintf(label, sizeof label, "%s %s", ol_digest_short(&layer->digest).text,
		word_of(verb, layer->state));
	if (layer->state == OL_LAYER_FETCHING || layer->state == OL_LAYER_UNPACKING) {
		add_line(screen, label, layer->done, layer->total,
			layer->state == OL_LAYER_FETCHING ? ol_rate_of(&layer->rate) : 0, out);
		return;
	}
	if (layer->state == OL_LAYER_COMPLETE || layer->state == OL_LAYER_LAZY)
		(void)snprintf(label, sizeof label, "%s %-*s %s",
			ol_digest_short(&layer->digest).text, WORD_COLUMNS,
			word_of(verb, layer->state), ol_size_format(layer->total).text);
	else if (layer->state == OL_LAYER_RETRYING || layer->state == OL_LAYER_MOUNTED)
		(void)snprintf(label, sizeof label, "%s %-*s %s",
			ol_digest_short(&layer->digest).text, WORD_COLUMNS,
			word_of(verb, layer->state), layer->why);
	add_cut(screen, label, out);
}

static void add_sum(const ol_progress_model *model, const ol_screen *screen, uint64_t now_ms,
	bool last, ol_str *out)
{
	ol_progress_sum sum = ol_progress_sum_of(model);
	char label[256];

	if (!last) {
		(void)snprintf(label, sizeof label, "%zu of %zu layers", sum.finished, sum.layers);
		if (sum.total)
			add_line(screen, label, sum.done, sum.total, ol_rate_of(&model->rate), out);
		return;
	}
	if (sum.existing == sum.layers)
		(void)snprintf(label, sizeof label, "%zu layers, all there already", sum.layers);
	else
		(void)snprintf(label, sizeof label, "%zu of %zu layers, %s in %.1fs", sum.finished,
			sum.layers, ol_size_format(sum.fetched).text,
			(double)(now_ms - model->start_ms) / 1000);
	add_cut(screen, label, out);
}

void ol_progress_draw(const ol_progress_model *model, const ol_screen *screen, uint64_t now_ms,
	bool last, ol_str *out)
{
	/* The last line of the screen holds the cursor, the one above the sum. */
	size_t room = screen->lines > 3 ? screen->lines - 2 : 1;
	bool crowded = model->count > room;

	for (size_t i = 0; i < model->count && room; i++) {
		if (crowded && (last ? model->layers[i].state != OL_LAYER_FAILED
				     : !is_active(&model->layers[i])))
			continue;
		add_layer(screen, model->verb, &model->layers[i], out);
		room--;
	}
	if (model->count > 1)
		add_sum(model, screen, now_ms, last, out);
	if (!last && model->task_on && now_ms - model->task_start_ms >= TASK_QUIET_MS)
		add_line(screen, model->task, model->task_done, model->task_total, 0, out);
}

/* Columns of a line, its colours not counted. */
static size_t width_of(ol_view line)
{
	size_t width = 0;

	for (size_t i = 0; i < line.size; i++) {
		if (line.data[i] == '\033') {
			while (i < line.size && line.data[i] != 'm')
				i++;
			continue;
		}
		width += ((unsigned char)line.data[i] & 0xc0) != 0x80;
	}
	return width;
}

unsigned ol_progress_rows(ol_view text, unsigned columns)
{
	unsigned rows = 0;

	for (size_t at = 0; at < text.size;) {
		const char *newline = memchr(text.data + at, '\n', text.size - at);
		size_t end = newline ? (size_t)(newline - text.data) : text.size;
		size_t width = width_of(ol_view_from(text.data + at, end - at));

		rows += width > columns && columns ? (unsigned)((width + columns - 1) / columns)
						   : 1;
		at = end + 1;
	}
	return rows;
}
