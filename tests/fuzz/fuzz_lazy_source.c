#include <stdlib.h>

#include "image/lazy_source_priv.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_lazy_source source = { 0 };

	if (ol_lazy_source_parse(ol_view_from(data, size), &source, NULL) < 0)
		return 0;
	if (!ol_digest_is_set(&source.blob) || source.blob_size > OL_DESCRIPTOR_BYTES_MAX ||
		source.creds || (source.cert_dir && *source.cert_dir != '/'))
		abort();
	ol_lazy_source_done(&source);
	return 0;
}
