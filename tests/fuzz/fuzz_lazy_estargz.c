/* The JSON of eStargz; its tar is made here. */
#include "base/alloc.h"
#include "base/limits.h"
#include "manifest/tar_writer.h"
#include "tests/fuzz/lazy_fuzz.h"

struct buffer {
	ol_sink base;
	ol_buf bytes;
};

static int buffer_write(ol_sink *sink, const void *data, size_t size, ol_error *err)
{
	(void)err;
	return ol_buf_add(&((struct buffer *)sink)->bytes, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ol_sink_ops ops = { .write = buffer_write };
	struct buffer tar = { .base.ops = &ops, .bytes = OL_BUF(OL_TOC_BYTES_MAX) };
	ol_auto(ol_tar_writer_free) ol_tar_writer *writer = ol_tar_writer_new(&tar.base);
	const ol_tar_entry entry = {
		.name = "stargz.index.json", .target = "", .size = size, .data_size = size
	};

	if (size && ol_tar_writer_add(writer, &entry, NULL) == OL_OK &&
		ol_tar_writer_data(writer, data, size, NULL) == OL_OK &&
		ol_tar_writer_finish(writer, NULL) == OL_OK) {
		ol_lazy_toc toc = { .format = OL_LAZY_ESTARGZ,
			.bytes = ol_buf_view(&tar.bytes),
			.place = { LAZY_FUZZ_BLOB_BYTES - 2000, 1949 } };

		lazy_fuzz(&toc);
		toc.place = (ol_toc_range){ 0, 0 };
		lazy_fuzz(&toc);
	}
	ol_buf_done(&tar.bytes);
	return 0;
}
