/*
 * ol_json is json_t under another name: the two casts at the top are the only place that knows.
 *
 * jansson recurses as deep as a document goes and spends up to 300 bytes on a value of three, so a
 * scan without memory looks at depth and number of values before it sees the text. The scan knows
 * just enough grammar for that (strings, brackets, separators); on text that is not JSON its counts
 * mean nothing, and jansson refuses that.
 */
#include "manifest/json.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>

#include "base/limits.h"

static json_t *in(const ol_json *value)
{
	return (json_t *)value;
}

/* A value just made. jansson answers NULL only when there is no memory: ol_alloc would have ended
 * here, too. */
static ol_json *made(json_t *value)
{
	assert(value && "out of memory");
	return (ol_json *)value;
}

static void done(int rc)
{
	assert(rc == 0 && "out of memory");
	(void)rc;
}

/* Where the string that begins after at ends: at its closing quote, or at the end of the text. */
static size_t string_end(ol_view text, size_t at)
{
	for (at++; at < text.size && text.data[at] != '"'; at++)
		if (text.data[at] == '\\')
			at++;
	return at;
}

static int check_bounds(ol_view text, ol_error *err)
{
	size_t depth = 0, values = 1;

	for (size_t i = 0; i < text.size; i++) {
		switch (text.data[i]) {
		case '"':
			i = string_end(text, i);
			break;
		case '{':
		case '[':
			depth++;
			values++;
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			break;
		case ',':
			values++;
			break;
		default:
			break;
		}
		if (depth > OL_JSON_DEPTH_MAX)
			return ol_fail(err, OL_ELIMIT, "JSON is nested deeper than %d levels",
				OL_JSON_DEPTH_MAX);
		if (values > OL_JSON_VALUES_MAX)
			return ol_fail(err, OL_ELIMIT, "JSON has more than %zu values",
				OL_JSON_VALUES_MAX);
	}
	return OL_OK;
}

int ol_json_parse(ol_view text, ol_json **out, ol_error *err)
{
	json_error_t why;
	json_t *value;
	int rc;

	rc = check_bounds(text, err);
	if (rc < 0)
		return rc;
	/* jansson passes over a NUL behind the value, which no JSON text has. */
	if (text.size && memchr(text.data, '\0', text.size))
		return ol_fail(err, OL_EINVAL, "JSON has a NUL in it");
	/* jansson takes NULL for a mistake of ours; empty text is a mistake of theirs. */
	value = json_loadb(text.data ? text.data : "", text.size,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (!value) {
		/* It quotes what it read. */
		ol_auto_str ol_str safe = OL_STR(4 * sizeof why.text);

		(void)ol_str_add_safe(&safe, ol_view_of(why.text));
		return ol_fail(err, OL_EINVAL, "not JSON: line %d, column %d: %s", why.line,
			why.column, ol_str_text(&safe));
	}
	*out = (ol_json *)value;
	return OL_OK;
}

void ol_json_free(ol_json *value)
{
	json_decref(in(value));
}

ol_json_type ol_json_type_of(const ol_json *value)
{
	static const ol_json_type types[] = {
		[JSON_OBJECT] = OL_JSON_OBJECT,
		[JSON_ARRAY] = OL_JSON_ARRAY,
		[JSON_STRING] = OL_JSON_STRING,
		[JSON_INTEGER] = OL_JSON_INTEGER,
		[JSON_REAL] = OL_JSON_REAL,
		[JSON_TRUE] = OL_JSON_BOOL,
		[JSON_FALSE] = OL_JSON_BOOL,
		[JSON_NULL] = OL_JSON_NULL,
	};

	return value ? types[json_typeof(in(value))] : OL_JSON_NULL;
}

bool ol_json_is_object(const ol_json *value)
{
	return json_is_object(in(value));
}

bool ol_json_is_array(const ol_json *value)
{
	return json_is_array(in(value));
}

bool ol_json_is_string(const ol_json *value)
{
	return json_is_string(in(value));
}

bool ol_json_is_number(const ol_json *value)
{
	return json_is_number(in(value));
}

bool ol_json_is_bool(const ol_json *value)
{
	return json_is_boolean(in(value));
}

const ol_json *ol_json_get(const ol_json *object, const char *key)
{
	const json_t *value = json_object_get(in(object), key);

	return json_is_null(value) ? NULL : (const ol_json *)value;
}

bool ol_json_has(const ol_json *object, const char *key)
{
	return json_object_get(in(object), key) != NULL;
}

size_t ol_json_count(const ol_json *value)
{
	/* jansson answers 0 for what is not of the type. */
	return json_is_object(in(value)) ? json_object_size(in(value)) : json_array_size(in(value));
}

const ol_json *ol_json_at(const ol_json *array, size_t index)
{
	return (const ol_json *)json_array_get(in(array), index);
}

const char *ol_json_text(const ol_json *value)
{
	return json_string_value(in(value));
}

int64_t ol_json_int(const ol_json *value, int64_t otherwise)
{
	return json_is_integer(in(value)) ? json_integer_value(in(value)) : otherwise;
}

double ol_json_number(const ol_json *value, double otherwise)
{
	return json_is_number(in(value)) ? json_number_value(in(value)) : otherwise;
}

bool ol_json_true(const ol_json *value)
{
	return json_is_true(in(value));
}

static int wrong_type(const char *key, const char *type, ol_error *err)
{
	return ol_fail(err, OL_EINVAL, "%s is not %s", key, type);
}

int ol_json_get_text(const ol_json *object, const char *key, const char **out, ol_error *err)
{
	const ol_json *value = ol_json_get(object, key);

	if (value && !ol_json_is_string(value))
		return wrong_type(key, "a string", err);
	if (value)
		*out = ol_json_text(value);
	return OL_OK;
}

int ol_json_get_int(const ol_json *object, const char *key, int64_t *out, ol_error *err)
{
	const ol_json *value = ol_json_get(object, key);

	if (value && !json_is_integer(in(value)))
		return wrong_type(key, "an integer", err);
	if (value)
		*out = json_integer_value(in(value));
	return OL_OK;
}

int ol_json_get_bool(const ol_json *object, const char *key, bool *out, ol_error *err)
{
	const ol_json *value = ol_json_get(object, key);

	if (value && !ol_json_is_bool(value))
		return wrong_type(key, "true or false", err);
	if (value)
		*out = ol_json_true(value);
	return OL_OK;
}

int ol_json_get_array(const ol_json *object, const char *key, const ol_json **out, ol_error *err)
{
	const ol_json *value = ol_json_get(object, key);

	if (value && !ol_json_is_array(value))
		return wrong_type(key, "an array", err);
	if (value)
		*out = value;
	return OL_OK;
}

int ol_json_get_object(const ol_json *object, const char *key, const ol_json **out, ol_error *err)
{
	const ol_json *value = ol_json_get(object, key);

	if (value && !ol_json_is_object(value))
		return wrong_type(key, "an object", err);
	if (value)
		*out = value;
	return OL_OK;
}

bool ol_json_next(const ol_json *object, void **it, const char **key, const ol_json **value)
{
	*it = *it ? json_object_iter_next(in(object), *it) : json_object_iter(in(object));
	if (!*it)
		return false;
	*key = json_object_iter_key(*it);
	*value = (const ol_json *)json_object_iter_value(*it);
	return true;
}

ol_json *ol_json_object(void)
{
	return made(json_object());
}

ol_json *ol_json_array(void)
{
	return made(json_array());
}

/* text with every byte that is not UTF-8 replaced. */
static void mend(ol_view text, ol_str *out)
{
	for (size_t i = 0; i < text.size;) {
		size_t size = ol_utf8_size(ol_view_from(text.data + i, text.size - i));

		(void)(size ? ol_buf_add(out, text.data + i, size)
			    : ol_str_add(out, "\xef\xbf\xbd"));
		i += size ? size : 1;
	}
}

static bool is_utf8(ol_view text)
{
	for (size_t i = 0, size; i < text.size; i += size) {
		size = ol_utf8_size(ol_view_from(text.data + i, text.size - i));
		if (size == 0)
			return false;
	}
	return true;
}

ol_json *ol_json_string(const char *text)
{
	ol_auto_str ol_str mended = OL_STR(SIZE_MAX / 2);

	if (!text)
		return ol_json_null();
	if (is_utf8(ol_view_of(text)))
		return made(json_string_nocheck(text));
	mend(ol_view_of(text), &mended);
	return made(json_string_nocheck(ol_str_text(&mended)));
}

ol_json *ol_json_integer(int64_t value)
{
	return made(json_integer(value));
}

ol_json *ol_json_real(double value)
{
	return isfinite(value) ? made(json_real(value)) : ol_json_null();
}

ol_json *ol_json_boolean(bool value)
{
	return made(json_boolean(value));
}

ol_json *ol_json_null(void)
{
	return made(json_null());
}

ol_json *ol_json_copy(const ol_json *value)
{
	return value ? made(json_deep_copy(in(value))) : ol_json_null();
}

void ol_json_set(ol_json *object, const char *key, ol_json *value)
{
	ol_auto_str ol_str mended = OL_STR(SIZE_MAX / 2);

	assert(ol_json_is_object(object) && value);
	if (!is_utf8(ol_view_of(key))) {
		mend(ol_view_of(key), &mended);
		key = ol_str_text(&mended);
	}
	done(json_object_set_new_nocheck(in(object), key, in(value)));
}

void ol_json_set_text(ol_json *object, const char *key, const char *text)
{
	ol_json_set(object, key, ol_json_string(text));
}

void ol_json_set_int(ol_json *object, const char *key, int64_t value)
{
	ol_json_set(object, key, ol_json_integer(value));
}

void ol_json_set_bool(ol_json *object, const char *key, bool value)
{
	ol_json_set(object, key, ol_json_boolean(value));
}

void ol_json_remove(ol_json *object, const char *key)
{
	/* Its only failure is that there is no such key. */
	(void)json_object_del(in(object), key);
}

void ol_json_push(ol_json *array, ol_json *value)
{
	assert(ol_json_is_array(array) && value);
	done(json_array_append_new(in(array), in(value)));
}

/* jansson hands over whole characters. It escapes what JSON says must be; DEL and the C1 controls
 * (U+0080 to U+009F, c2 80 to c2 9f) may stand in JSON as they are, but not on a terminal. They
 * occur in strings only. */
static int add_escaped(const char *data, size_t size, void *ctx)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t plain = 0;
	ol_str *out = ctx;

	for (size_t i = 0; i < size; i++) {
		bool c1 = p[i] == 0xc2 && i + 1 < size && p[i + 1] < 0xa0;

		if (!c1 && p[i] != 0x7f)
			continue;
		(void)ol_buf_add(out, data + plain, i - plain);
		i += c1;
		(void)ol_str_addf(out, "\\u%04X", p[i]);
		plain = i + 1;
	}
	return ol_buf_add(out, data + plain, size - plain);
}

int ol_json_format(const ol_json *value, ol_json_style style, ol_str *out, ol_error *err)
{
	static const size_t flags[] = {
		[OL_JSON_COMPACT] = JSON_COMPACT,
		[OL_JSON_PRETTY] = JSON_INDENT(4),
		[OL_JSON_SORTED] = JSON_COMPACT | JSON_SORT_KEYS,
	};
	int rc;

	rc = json_dump_callback(
		value ? in(value) : json_null(), add_escaped, out, flags[style] | JSON_ENCODE_ANY);
	assert((rc == 0 || out->rc < 0) && "out of memory");
	return ol_str_error(out, err);
}
