#include "tests/layer_recipe.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "tests/check.h"
#include "tests/recipe_line.h"

#define SPARSE_SIZE ((size_t)1 << 20)

static const struct {
	size_t offset;
	const char *data;
} sparse_pieces[] = {
	{ 0, "first" },
	{ 65536, "second" },
	{ 131072 + 100, "third, where no block begins" },
};

ol_buf recipe_sparse(void)
{
	ol_buf file = OL_BUF(SPARSE_SIZE);
	char *p = ol_buf_room(&file, SPARSE_SIZE);

	memset(p, 0, SPARSE_SIZE);
	OL_EACH (sparse_pieces, piece)
		memcpy(p + piece->offset, piece->data, strlen(piece->data));
	file.size = SPARSE_SIZE;
	return file;
}

/* {x*200} */
static char *expand(ol_view field)
{
	ol_str out = OL_STR(RECIPE_TEXT_MAX);

	for (size_t i = 0; i < field.size; i++) {
		if (field.data[i] != '{') {
			(void)ol_str_addc(&out, field.data[i]);
			continue;
		}
		for (long n = strtol(field.data + i + 3, NULL, 10); n > 0; n--)
			(void)ol_str_addc(&out, field.data[i + 1]);
		while (field.data[i] != '}')
			i++;
	}
	(void)ol_str_add(&out, "");
	return ol_buf_steal(&out);
}

bool recipe_line_next(const char **at, recipe_line *line)
{
	const char *p = *at;

	*line = (recipe_line){ 0 };
	while (*p == '\n' || *p == ' ')
		p++;
	while (*p && *p != '\n') {
		size_t size = strcspn(p, " \n");

		assert_true(line->count < RECIPE_FIELDS_MAX);
		line->fields[line->count++] = expand(ol_view_from(p, size));
		p += size;
		while (*p == ' ')
			p++;
	}
	*at = p;
	return line->count > 0;
}

void recipe_line_done(recipe_line *line)
{
	for (size_t i = 0; i < line->count; i++)
		free(line->fields[i]);
}

const char *recipe_field(const recipe_line *line, size_t index)
{
	return index < line->count ? line->fields[index] : "-";
}

static void octal(char *at, size_t size, uint64_t value)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%0*" PRIo64, (int)size - 1, value);
	memcpy(at, text, size - 1);
}

static void pad(ol_buf *tar)
{
	static const char zeros[512];

	(void)ol_buf_add(tar, zeros, (512 - tar->size % 512) % 512);
}

/* A header block; what does not fit in it is in the pax records before it. */
static void header(ol_buf *tar, char type, const char *name, const recipe_line *line, uint64_t size)
{
	const char *target =
		strchr("lh", recipe_field(line, TYPE)[0]) ? recipe_field(line, ARG) : "";
	char h[512] = { 0 };
	unsigned sum = 0;
	unsigned uid = 0, gid = 0, devmajor = 0, devminor = 0;

	(void)sscanf(recipe_field(line, OWNER), "%u:%u", &uid, &gid);
	if (strchr("cb", recipe_field(line, TYPE)[0]))
		(void)sscanf(recipe_field(line, ARG), "%u:%u", &devmajor, &devminor);
	memcpy(h, name, strnlen(name, 100));
	octal(h + 100, 8, strtoul(recipe_field(line, MODE), NULL, 8));
	octal(h + 108, 8, uid & 07777777);
	octal(h + 116, 8, gid & 07777777);
	octal(h + 124, 12, size);
	octal(h + 136, 12, strtoul(recipe_field(line, TIME), NULL, 10));
	memset(h + 148, ' ', 8);
	h[156] = type;
	memcpy(h + 157, type == 'x' ? "" : target, type == 'x' ? 0 : strnlen(target, 100));
	memcpy(h + 257, "ustar\00000", 8);
	octal(h + 329, 8, devmajor);
	octal(h + 337, 8, devminor);
	for (size_t i = 0; i < sizeof h; i++)
		sum += (unsigned char)h[i];
	octal(h + 148, 7, sum);
	h[154] = '\0';
	(void)ol_buf_add(tar, h, sizeof h);
}

/* "<len> key=value\n", where len counts itself. */
static void pax_record(ol_str *pax, const char *key, const char *value, size_t size)
{
	size_t rest = strlen(key) + size + 3, total = rest;

	for (;;) {
		size_t digits = (size_t)snprintf(NULL, 0, "%zu", total);

		if (total == rest + digits)
			break;
		total = rest + digits;
	}
	(void)ol_str_addf(pax, "%zu %s=", total, key);
	(void)ol_buf_add(pax, value, size);
	(void)ol_str_addc(pax, '\n');
}

static void pax_text(ol_str *pax, const char *key, const char *value)
{
	pax_record(pax, key, value, strlen(value));
}

static void pax_of(ol_str *pax, const char *name, const recipe_line *line)
{
	unsigned uid = 0, gid = 0;
	char number[32];

	if (strlen(name) > 100)
		pax_text(pax, "path", name);
	if (strchr("lh", recipe_field(line, TYPE)[0]) && strlen(recipe_field(line, ARG)) > 100)
		pax_text(pax, "linkpath", recipe_field(line, ARG));
	if (strchr(recipe_field(line, TIME), '.'))
		pax_text(pax, "mtime", recipe_field(line, TIME));
	(void)sscanf(recipe_field(line, OWNER), "%u:%u", &uid, &gid);
	if (uid > 07777777 || gid > 07777777) {
		(void)snprintf(number, sizeof number, "%u", uid);
		pax_text(pax, "uid", number);
		(void)snprintf(number, sizeof number, "%u", gid);
		pax_text(pax, "gid", number);
	}
	for (size_t i = XATTRS; i < line->count; i++) {
		const char *equals = strchr(line->fields[i], '=');
		ol_autofree char *key = ol_text(
			"SCHILY.xattr.%.*s", (int)(equals - line->fields[i]), line->fields[i]);

		if (strncmp(equals, "=0x", 3) == 0) {
			uint8_t bytes[128];
			size_t size = strlen(equals + 3) / 2;

			assert_int_equal(OL_OK, ol_hex_parse(ol_view_of(equals + 3), bytes, size));
			pax_record(pax, key, (const char *)bytes, size);
		} else {
			pax_text(pax, key, equals + 1);
		}
	}
}

/* pax sparse 1.0: the map stands before the data, in blocks of its own. */
static ol_buf sparse_data(ol_str *pax, const char *name)
{
	ol_buf data = OL_BUF(RECIPE_TEXT_MAX);
	char number[32];

	pax_text(pax, "GNU.sparse.major", "1");
	pax_text(pax, "GNU.sparse.minor", "0");
	pax_text(pax, "GNU.sparse.name", name);
	(void)snprintf(number, sizeof number, "%zu", SPARSE_SIZE);
	pax_text(pax, "GNU.sparse.realsize", number);
	(void)ol_str_addf(&data, "%zu\n", sizeof sparse_pieces / sizeof sparse_pieces[0] + 1);
	OL_EACH (sparse_pieces, piece)
		(void)ol_str_addf(&data, "%zu\n%zu\n", piece->offset, strlen(piece->data));
	(void)ol_str_addf(&data, "%zu\n0\n", SPARSE_SIZE);
	pad(&data);
	OL_EACH (sparse_pieces, piece)
		(void)ol_str_add(&data, piece->data);
	return data;
}

static char *tar_name(const recipe_line *line)
{
	const char *name = recipe_field(line, NAME), *slash = strrchr(name, '/');
	int folder = slash ? (int)(slash - name) + 1 : 0;

	switch (recipe_field(line, TYPE)[0]) {
	case 'd':
		return strcmp(name, ".") == 0 ? ol_strdup("./") : ol_text("%s/", name);
	case 'w':
		return ol_text("%.*s.wh.%s", folder, name, name + folder);
	case 'o':
		return strcmp(name, ".") == 0 ? ol_strdup(".wh..wh..opq")
					      : ol_text("%s/.wh..wh..opq", name);
	default:
		return ol_strdup(name);
	}
}

static char tar_type(char type)
{
	static const char table[] = "d5f0l2h1c3b4p6w0o0";

	return strchr(table, type)[1];
}

static void entry(ol_buf *tar, const recipe_line *line)
{
	ol_autofree char *name = tar_name(line);
	const bool is_file = recipe_field(line, TYPE)[0] == 'f';
	const bool is_sparse = is_file && strcmp(recipe_field(line, ARG), "@sparse") == 0;
	ol_auto_str ol_str pax = OL_STR(RECIPE_TEXT_MAX);
	ol_auto_buf ol_buf data = OL_BUF(RECIPE_TEXT_MAX);

	pax_of(&pax, name, line);
	if (is_sparse)
		data = sparse_data(&pax, name);
	else if (is_file && strcmp(recipe_field(line, ARG), "-") != 0)
		(void)ol_str_add(&data, recipe_field(line, ARG));
	if (pax.size > 0) {
		header(tar, 'x', "pax", &(recipe_line){ 0 }, pax.size);
		(void)ol_buf_add(tar, pax.data, pax.size);
		pad(tar);
	}
	header(tar, tar_type(recipe_field(line, TYPE)[0]), is_sparse ? "GNUSparseFile.0/x" : name,
		line, data.size);
	(void)ol_buf_add(tar, data.data, data.size);
	pad(tar);
}

ol_buf recipe_tar(const char *recipe)
{
	static const char end[1024];
	ol_buf tar = OL_BUF((size_t)64 << 20);
	recipe_line line;

	while (recipe_line_next(&recipe, &line)) {
		entry(&tar, &line);
		recipe_line_done(&line);
	}
	(void)ol_buf_add(&tar, end, sizeof end);
	return tar;
}
