/* A profile in Docker's JSON: what is accepted compiles, and can be written and read again. */
#include <stdlib.h>

#include "base/limits.h"
#include "exec/seccomp.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto(ol_seccomp_free) ol_seccomp *profile = NULL, *again = NULL;
	ol_auto(ol_json_free) ol_json *json = NULL;
	ol_auto_str ol_str text = OL_STR(OL_CONFIG_FILE_BYTES_MAX);
	ol_auto_buf ol_buf bpf = OL_BUF((size_t)1 << 20);

	if (ol_seccomp_parse((ol_view){ (const char *)data, size }, 0x15, &profile, NULL) < 0)
		return 0;
	(void)ol_seccomp_compile(profile, &bpf, NULL);
	json = ol_seccomp_json(profile);
	if (ol_json_format(json, OL_JSON_COMPACT, &text, NULL) == OL_OK &&
		ol_seccomp_parse(ol_buf_view(&text), 0x15, &again, NULL) < 0)
		abort();
	return 0;
}
