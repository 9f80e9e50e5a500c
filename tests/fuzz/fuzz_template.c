#include "cmd/template.h"
#include "tests/fuzz/fuzz.h"

/* Any template is refused, or runs to an end within its bounds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char document[] = "{\"A\":{\"B\":\"text\",\"L\":[1,2,{\"x\":null}]},\"S\":\"a,"
				       "b\",\"N\":3,\"T\":true,\"Labels\":{\"k\":\"v\"}}";
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_auto(ol_template_free) ol_template *t = NULL;
	ol_auto_str ol_str out = OL_STR(1 << 16);

	if (ol_json_parse(ol_view_of(document), &json, NULL) < 0)
		return 0;
	if (ol_template_parse(ol_view_from(data, size), OL_TEMPLATE_ESCAPES, &t, NULL) == OL_OK)
		(void)ol_template_run(t, json, size % 2, &out, NULL);
	return 0;
}
