#include "base/alloc.h"
#include "base/limits.h"
#include "image/change_priv.h"
#include "manifest/config.h"
#include "tests/fuzz/fuzz.h"

/* Every line is a --change, and a few lines can expose all ports. What comes out is a config that
 * our own parser takes, or too large for one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char base[] =
		"{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[]}}";
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_auto(ol_config_free) ol_config *config = NULL;
	ol_auto_str ol_str text = OL_STR(OL_CONFIG_BYTES_MAX);
	ol_view rest = ol_view_from(data, size < 512 ? size : 512);
	int rc = ol_json_parse(ol_view_of(base), &json, NULL);

	while (rc == OL_OK && rest.size > 0) {
		const char *end = memchr(rest.data, '\n', rest.size);
		size_t length = end ? (size_t)(end - rest.data) : rest.size;
		ol_autofree char *line = ol_strndup(rest.data, length);

		(void)ol_change_apply(json, line, NULL);
		length += end ? 1 : 0;
		rest = ol_view_from(rest.data + length, rest.size - length);
	}
	if (rc < 0 || ol_json_format(json, OL_JSON_SORTED, &text, NULL) < 0)
		return 0;
	rc = ol_config_parse(ol_buf_view(&text), &config, NULL);
	if (rc < 0 && rc != OL_ELIMIT)
		__builtin_trap();
	return 0;
}
