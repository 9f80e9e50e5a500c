#include "cmd/listing.h"

#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/table.h"
#include "cmd/template.h"

/* A list of a full store stays far below. */
#define LISTING_BYTES_MAX ((size_t)256 << 20)

typedef enum listing_mode {
	LISTING_TABLE,
	LISTING_TEMPLATE,
	LISTING_LINES, /* --format json */
	LISTING_ARRAY, /* --json */
	LISTING_IDS,
} listing_mode;

struct ol_listing {
	ol_console *console; /* lent */
	const ol_listing_shape *shape;
	listing_mode mode;
	bool whole;
	ol_template *templ; /* owned; of a table or template */
	uint64_t wanted;    /* a bit for each column of the shape that may be shown */
	ol_str lines;       /* of the table */
	ol_json *array;     /* owned */
};

/* A template can only show a member that it names after a dot, or, by a dot without a name, all of
 * them. Dots of other text may make this say yes too often. */
static bool mentions(const char *format, const char *field)
{
	const size_t size = strlen(field);

	for (const char *dot = strchr(format, '.'); dot; dot = strchr(dot + 1, '.')) {
		if (!isalpha((unsigned char)dot[1]))
			return true;
		if (strncmp(dot + 1, field, size) == 0 && !isalnum((unsigned char)dot[1 + size]))
			return true;
	}
	return false;
}

/* Asked once a list, not once a row. format NULL: all. */
static void want_columns(ol_listing *l, const char *format)
{
	for (size_t i = 0; l->shape->columns[i].field; i++) {
		const char *field = l->shape->columns[i].field;
		const bool is = l->mode == LISTING_IDS ? strcmp(field, l->shape->id) == 0
						       : !format || mentions(format, field);

		assert(i < 64);
		l->wanted |= (uint64_t)is << i;
	}
}

static int parse_format(ol_listing *l, const char *format, ol_error *err)
{
	/* As docker: "table" is the usual table, "table TEMPLATE" another one. */
	format += strspn(format, " ");
	if (strcmp(format, "json") == 0) {
		l->mode = LISTING_LINES;
		want_columns(l, NULL);
		return OL_OK;
	}
	l->mode = LISTING_TEMPLATE;
	if (strncmp(format, "table", 5) == 0 && (format[5] == '\0' || format[5] == ' ')) {
		l->mode = LISTING_TABLE;
		format += 5;
		format += strspn(format, " ");
		if (!*format)
			format = l->shape->table;
	}
	want_columns(l, format);
	return ol_template_parse(ol_view_of(format), OL_TEMPLATE_ESCAPES, &l->templ, err);
}

bool ol_listing_wants(const ol_listing *l, const char *field)
{
	for (size_t i = 0; l->shape->columns[i].field; i++)
		if (strcmp(l->shape->columns[i].field, field) == 0)
			return l->wanted >> i & 1;
	return true; /* a member that is no column may be shown by any template */
}

/* The row of headings, through the template: functions pass them on. */
static int add_headings(ol_listing *l, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *row = ol_json_object();
	int rc;

	for (const ol_column *c = l->shape->columns; c->field; c++)
		ol_json_set_text(row, c->field, c->heading);
	rc = ol_template_run(l->templ, row, true, &l->lines, err);
	(void)ol_str_addc(&l->lines, '\n');
	return rc;
}

int ol_listing_open(ol_context *ctx, const ol_listing_shape *shape, ol_listing **out, ol_error *err)
{
	ol_auto(ol_listing_free) ol_listing *l = ol_alloc(sizeof *l);
	const char *format = ol_args_text(ctx->args, "format");
	int rc = OL_OK;

	l->console = ctx->console;
	l->shape = shape;
	l->lines = (ol_str)OL_STR(LISTING_BYTES_MAX);
	l->whole = ol_args_flag(ctx->args, "json") ||
		   (ol_args_knows(ctx->args, "no-trunc") && ol_args_flag(ctx->args, "no-trunc"));
	if (ol_args_flag(ctx->args, "json")) {
		l->mode = LISTING_ARRAY;
		l->array = ol_json_array();
		want_columns(l, NULL);
	} else if (ol_args_knows(ctx->args, "quiet") && ol_args_flag(ctx->args, "quiet") &&
		   !format) {
		l->mode = LISTING_IDS;
		want_columns(l, NULL);
	} else {
		rc = parse_format(l, format ? format : "table", err);
		if (rc == OL_OK && l->mode == LISTING_TABLE)
			rc = add_headings(l, err);
	}
	if (rc == OL_OK)
		*out = ol_steal(&l);
	return rc;
}

void ol_listing_free(ol_listing *l)
{
	if (!l)
		return;
	ol_template_free(l->templ);
	ol_buf_done(&l->lines);
	ol_json_free(l->array);
	free(l);
}

bool ol_listing_is_json(const ol_listing *l)
{
	return l->mode == LISTING_ARRAY;
}

bool ol_listing_is_whole(const ol_listing *l)
{
	return l->whole;
}

/* Cells of a table hold no tabs and newlines, which would make more cells and rows of them. */
static ol_json *safe_row(const ol_json *row)
{
	ol_json *safe = ol_json_object();
	void *it = NULL;
	const char *key;
	const ol_json *member;

	while (ol_json_next(row, &it, &key, &member)) {
		const char *text = ol_json_text(member);
		ol_auto_str ol_str cell = OL_STR(4 * (text ? strlen(text) : 0) + 1);

		if (!text) {
			ol_json_set(safe, key, ol_json_copy(member));
			continue;
		}
		(void)ol_str_add_safe(&cell, ol_view_of(text));
		ol_json_set_text(safe, key, ol_str_text(&cell));
	}
	return safe;
}

static bool is_safe(const ol_json *row)
{
	void *it = NULL;
	const char *key;
	const ol_json *member;

	while (ol_json_next(row, &it, &key, &member))
		for (const char *p = ol_json_text(member); p && *p; p++)
			if (*p < 0x20 || *p > 0x7e)
				return false;
	return true;
}

static int add_table_row(ol_listing *l, const ol_json *row, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *safe = is_safe(row) ? NULL : safe_row(row);
	int rc = ol_template_run(l->templ, safe ? safe : row, false, &l->lines, err);

	(void)ol_str_addc(&l->lines, '\n');
	return rc < 0 ? rc : ol_str_error(&l->lines, err);
}

int ol_listing_add(ol_listing *l, ol_json *row, ol_error *err)
{
	ol_auto(ol_json_free) ol_json *owned = row;
	ol_auto_str ol_str line = OL_STR(LISTING_BYTES_MAX);
	int rc = OL_OK;

	switch (l->mode) {
	case LISTING_TABLE:
		return add_table_row(l, row, err);
	case LISTING_TEMPLATE:
		rc = ol_template_run(l->templ, row, false, &line, err);
		break;
	case LISTING_LINES:
		rc = ol_json_format(row, OL_JSON_COMPACT, &line, err);
		break;
	case LISTING_ARRAY:
		ol_json_push(l->array, ol_steal(&owned));
		return OL_OK;
	case LISTING_IDS:
		(void)ol_str_add(&line, ol_json_text(ol_json_get(row, l->shape->id)));
		break;
	}
	(void)ol_str_addc(&line, '\n');
	if (rc == OL_OK)
		ol_console_print_view(l->console, ol_buf_view(&line));
	return rc;
}

int ol_listing_end(ol_listing *l, ol_error *err)
{
	ol_auto_str ol_str out = OL_STR(LISTING_BYTES_MAX);
	int rc = OL_OK;

	if (l->mode == LISTING_TABLE)
		rc = ol_table_format(ol_buf_view(&l->lines), &out, err);
	else if (l->mode == LISTING_ARRAY)
		rc = ol_json_format(l->array, OL_JSON_PRETTY, &out, err);
	if (rc < 0)
		return rc;
	if (l->mode == LISTING_ARRAY)
		(void)ol_str_addc(&out, '\n');
	ol_console_print_view(l->console, ol_buf_view(&out));
	return OL_OK;
}

int ol_listing_show(ol_context *ctx, const ol_listing_shape *shape,
	int (*fill)(ol_context *ctx, ol_session *session, ol_listing *listing, ol_error *err),
	ol_error *err)
{
	ol_auto(ol_listing_free) ol_listing *listing = NULL;
	ol_session *session = NULL;
	int rc = ol_listing_open(ctx, shape, &listing, err);

	if (rc < 0)
		return rc;
	assert(listing); /* the analyzer cannot know */
	rc = ol_context_session(ctx, &session, err);
	if (rc == OL_OK)
		rc = fill(ctx, session, listing, err);
	return rc < 0 ? rc : ol_listing_end(listing, err);
}

static int show_json(ol_context *ctx, const ol_json *document, ol_json_style style, ol_error *err)
{
	ol_auto_str ol_str out = OL_STR(LISTING_BYTES_MAX);
	int rc = ol_json_format(document, style, &out, err);

	if (rc < 0)
		return rc;
	(void)ol_str_addc(&out, '\n');
	ol_console_print_view(ctx->console, ol_buf_view(&out));
	return OL_OK;
}

static int show_template(
	ol_context *ctx, const ol_template *templ, const ol_json *document, ol_error *err)
{
	ol_auto_str ol_str out = OL_STR(OL_TEMPLATE_OUTPUT_MAX);
	int rc = ol_template_run(templ, document, false, &out, err);

	if (rc < 0)
		return rc;
	(void)ol_str_addc(&out, '\n');
	ol_console_print_view(ctx->console, ol_buf_view(&out));
	return OL_OK;
}

int ol_show_each(ol_context *ctx, const ol_json *array, const char *format, ol_error *err)
{
	ol_auto(ol_template_free) ol_template *templ = NULL;
	bool json = strcmp(format, "json") == 0;
	int rc = json ? OL_OK : ol_template_parse(ol_view_of(format), 0, &templ, err);

	for (size_t i = 0; rc == OL_OK && i < ol_json_count(array); i++)
		rc = json ? show_json(ctx, ol_json_at(array, i), OL_JSON_COMPACT, err)
			  : show_template(ctx, templ, ol_json_at(array, i), err);
	return rc;
}

int ol_show_document(ol_context *ctx, const ol_json *document,
	void (*human)(ol_console *console, const ol_json *document), ol_error *err)
{
	const char *format = ol_args_text(ctx->args, "format");

	if (format && !ol_args_flag(ctx->args, "json")) {
		ol_auto(ol_json_free) ol_json *one = ol_json_array();

		ol_json_push(one, ol_json_copy(document));
		return ol_show_each(ctx, one, format, err);
	}
	if (!human || ol_args_flag(ctx->args, "json"))
		return show_json(ctx, document, OL_JSON_PRETTY, err);
	human(ctx->console, document);
	return OL_OK;
}

ol_when_text ol_when_local(int64_t unix_seconds)
{
	ol_when_text out = { "" };
	time_t when = (time_t)unix_seconds;
	struct tm tm;

	if (!localtime_r(&when, &tm) ||
		!strftime(out.text, sizeof out.text, "%Y-%m-%d %H:%M:%S %z %Z", &tm))
		out.text[0] = '\0';
	return out;
}

ol_when_text ol_when_rfc3339(int64_t unix_seconds)
{
	ol_time_text text = ol_time_format(&(struct timespec){ .tv_sec = (time_t)unix_seconds });
	ol_when_text out = { "" };

	memcpy(out.text, text.text,
		sizeof text.text < sizeof out.text ? sizeof text.text : sizeof out.text);
	return out;
}

ol_when_text ol_when_since(int64_t unix_seconds)
{
	ol_when_text out = { "" };

	(void)snprintf(out.text, sizeof out.text, "%s",
		unix_seconds ? ol_time_ago(unix_seconds, ol_unix_now()).text : "N/A");
	return out;
}

void ol_row_set_time(
	ol_json *row, const char *since_field, const char *at_field, int64_t unix_seconds)
{
	ol_json_set_text(row, since_field, ol_when_since(unix_seconds).text);
	ol_json_set_text(row, at_field, unix_seconds ? ol_when_local(unix_seconds).text : "N/A");
}
