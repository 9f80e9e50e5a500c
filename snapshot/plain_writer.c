#include "snapshot/plain_writer.h"

#include "base/alloc.h"
#include "snapshot/frame_stream_priv.h"

struct ol_plain_writer {
	ol_frame_plan plan;
	ol_frame_stream stream;
};

int ol_plain_writer_new(uint64_t tar_bytes, const ol_frame_pool_options *options,
	ol_plain_writer **out, ol_error *err)
{
	ol_auto(ol_plain_writer_free) ol_plain_writer *self = ol_alloc(sizeof *self);
	int rc;

	ol_frame_plan_add(&self->plan, 0, tar_bytes);
	(void)ol_frame_plan_cut(&self->plan);
	rc = ol_frame_stream_init(&self->stream, &self->plan, options, NULL, NULL, err);
	if (rc == OL_OK)
		*out = ol_steal(&self);
	return rc;
}

void ol_plain_writer_free(ol_plain_writer *self)
{
	if (!self)
		return;
	ol_frame_stream_done(&self->stream);
	ol_frame_plan_done(&self->plan);
	free(self);
}

ol_reader *ol_plain_writer_reader(ol_plain_writer *self)
{
	return &self->stream.reader;
}
