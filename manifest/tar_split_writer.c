#include "manifest/tar_split_writer.h"

#include "base/base64.h"
#include "manifest/toc_priv.h"

void ol_tar_split_segment(ol_str *out, uint64_t position, ol_view bytes)
{
	(void)ol_str_add(out, "{\"type\":2,\"payload\":\"");
	(void)ol_base64_format(bytes, out);
	(void)ol_str_addf(out, "\",\"position\":%llu}\n", (unsigned long long)position);
}

void ol_tar_split_file(
	ol_str *out, uint64_t position, const char *name, uint64_t size, uint64_t crc64)
{
	unsigned char sum[8];

	for (unsigned i = 0; i < 8; i++)
		sum[i] = (unsigned char)(crc64 >> (56 - 8 * i));
	(void)ol_str_add(out, "{\"type\":1,\"name\":");
	ol_toc_add_text(out, ol_view_of(name));
	if (size) {
		(void)ol_str_addf(out, ",\"size\":%llu,\"payload\":\"", (unsigned long long)size);
		(void)ol_base64_format(ol_view_from(sum, sizeof sum), out);
		(void)ol_str_addf(out, "\",\"position\":%llu}\n", (unsigned long long)position);
	} else {
		(void)ol_str_addf(out, ",\"payload\":null,\"position\":%llu}\n",
			(unsigned long long)position);
	}
}
