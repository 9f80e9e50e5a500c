#include "cmd/table.h"

#include "base/alloc.h"

#define CELL_PADDING 3
#define CELL_MIN     10

size_t ol_text_width(ol_view text)
{
	size_t width = 0;

	for (size_t i = 0; i < text.size; i++)
		width += ((unsigned char)text.data[i] & 0xc0) != 0x80;
	return width;
}

char *ol_ellipsis(const char *text, size_t width)
{
	size_t shown = 0, end = 0;

	if (ol_text_width(ol_view_of(text)) <= width)
		return ol_strdup(text);
	if (width <= 1)
		return ol_strndup(text, width);
	/* The bytes of the first width - 1 characters. */
	for (; text[end]; end++)
		if (((unsigned char)text[end] & 0xc0) != 0x80 && ++shown == width)
			break;
	return ol_text("%.*s…", (int)end, text);
}

typedef struct line {
	ol_view text;
	size_t *ends;   /* owned: where each cell but the last ends */
	size_t cells;   /* that end with a tab */
	size_t *widths; /* owned: of each such cell's column here */
} line;

static void free_lines(line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(lines[i].ends);
		free(lines[i].widths);
	}
	free(lines);
}

static line line_of(ol_view text)
{
	line l = { .text = text };
	size_t cap = 0;

	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] == '\t') {
			OL_GROW(l.ends, l.cells, cap);
			l.ends[l.cells++] = i;
		}
	l.widths = ol_alloc_array(l.cells + 1, sizeof *l.widths);
	return l;
}

static line *split(ol_view text, size_t *count)
{
	line *lines = NULL;
	size_t cap = 0;

	*count = 0;
	for (size_t at = 0; at < text.size;) {
		const char *newline = memchr(text.data + at, '\n', text.size - at);
		size_t end = newline ? (size_t)(newline - text.data) : text.size;

		OL_GROW(lines, *count, cap);
		lines[(*count)++] = line_of(ol_view_from(text.data + at, end - at));
		at = end + 1;
	}
	return lines;
}

static ol_view cell(const line *l, size_t index)
{
	size_t start = index ? l->ends[index - 1] + 1 : 0,
	       end = index < l->cells ? l->ends[index] : l->text.size;

	return ol_view_from(l->text.data + start, end - start);
}

/* Columns are runs of lines that have a cell there. */
static void measure(line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t c = 0; c < lines[i].cells; c++) {
			size_t width = CELL_MIN, end = i;

			if (lines[i].widths[c])
				continue;
			for (; end < count && lines[end].cells > c; end++) {
				size_t need = ol_text_width(cell(&lines[end], c)) + CELL_PADDING;

				width = need > width ? need : width;
			}
			for (size_t k = i; k < end; k++)
				lines[k].widths[c] = width;
		}
}

int ol_table_format(ol_view text, ol_str *out, ol_error *err)
{
	size_t count;
	line *lines = split(text, &count);

	measure(lines, count);
	for (size_t i = 0; i < count; i++) {
		for (size_t c = 0; c <= lines[i].cells; c++) {
			ol_view v = cell(&lines[i], c);

			(void)ol_str_addv(out, v);
			if (c < lines[i].cells)
				(void)ol_str_addf(out, "%*s",
					(int)(lines[i].widths[c] - ol_text_width(v)), "");
		}
		(void)ol_str_addc(out, '\n');
	}
	free_lines(lines, count);
	return ol_str_error(out, err);
}
