/*
 * Directories whose children are still to come, first in, first out:
 *
 *	pop ◀─ out (memory) ◀─ file ◀─ in (memory) ◀─ push
 *
 * in goes to the file in whole when it has grown; without a file it becomes out when that is used
 * up.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/temp.h"
#include "snapshot/erofs_writer_priv.h"

#define PART_BYTES  ((size_t)128 << 10)
#define ENTRY_BYTES (sizeof(struct entry) + OL_EROFS_KEY_MAX)

struct entry {
	uint64_t at, parent_at, cut;
	uint32_t key_size;
	bool bare;
};

void ol_erofs_queue_init(ol_erofs_queue *queue, int temp_fd)
{
	*queue = (ol_erofs_queue){ .temp_fd = temp_fd, .fd = -1 };
	queue->in = queue->out = OL_BUF(PART_BYTES + ENTRY_BYTES);
}

void ol_erofs_queue_done(ol_erofs_queue *queue)
{
	ol_buf_done(&queue->in);
	ol_buf_done(&queue->out);
	if (queue->fd >= 0)
		(void)close(queue->fd);
	queue->fd = -1;
}

static int to_file(ol_erofs_queue *queue, ol_error *err)
{
	int rc = OL_OK;

	if (queue->file_start == queue->file_end)
		queue->file_start = queue->file_end = 0;
	if (queue->fd < 0)
		rc = ol_temp_open(queue->temp_fd, &queue->fd, err);
	if (rc == OL_OK)
		rc = ol_pwrite_all(queue->fd, queue->in.data, queue->in.size, queue->file_end, err);
	if (rc < 0)
		return ol_wrap(err, rc, "directories to come");
	queue->file_end += queue->in.size;
	ol_buf_clear(&queue->in);
	return OL_OK;
}

int ol_erofs_queue_push(ol_erofs_queue *queue, const ol_erofs_dir *dir, ol_error *err)
{
	struct entry entry;

	memset(&entry, 0, sizeof entry);
	entry.at = dir->at;
	entry.parent_at = dir->parent_at;
	entry.cut = dir->cut;
	entry.key_size = (uint32_t)dir->key.size;
	entry.bare = dir->bare;
	if (queue->in.size >= PART_BYTES) {
		int rc = to_file(queue, err);

		if (rc < 0)
			return rc;
	}
	ol_buf_add(&queue->in, &entry, sizeof entry);
	ol_buf_add(&queue->in, dir->key.data, dir->key.size);
	queue->count++;
	return ol_str_error(&queue->in, err);
}

/* Makes out hold at least size bytes more, as far as there are any. */
static int refill(ol_erofs_queue *queue, size_t size, ol_error *err)
{
	size_t left = queue->out.size - queue->out_at;
	uint64_t rest = queue->file_end - queue->file_start;
	ol_buf swapped;
	size_t n;
	int rc;

	if (left >= size)
		return OL_OK;
	if (!left && !rest) {
		swapped = queue->out;
		queue->out = queue->in;
		queue->in = swapped;
		queue->out_at = 0;
		ol_buf_clear(&queue->in);
		return OL_OK;
	}
	if (!rest)
		return OL_OK;
	if (left)
		memmove(queue->out.data, queue->out.data + queue->out_at, left);
	queue->out.size = left;
	queue->out_at = 0;
	n = rest < PART_BYTES - left ? (size_t)rest : PART_BYTES - left;
	rc = ol_pread_all(queue->fd, ol_buf_room(&queue->out, n), n, queue->file_start, err);
	if (rc < 0)
		return ol_wrap(err, rc, "directories to come");
	queue->out.size += n;
	queue->file_start += n;
	return OL_OK;
}

int ol_erofs_queue_pop(ol_erofs_queue *queue, ol_erofs_dir *out, bool *more, ol_error *err)
{
	struct entry entry;
	int rc;

	*more = queue->count > 0;
	if (!*more)
		return OL_OK;
	rc = refill(queue, sizeof entry, err);
	if (rc < 0)
		return rc;
	memcpy(&entry, queue->out.data + queue->out_at, sizeof entry);
	rc = refill(queue, sizeof entry + entry.key_size, err);
	if (rc < 0)
		return rc;
	*out = (ol_erofs_dir){ .at = entry.at,
		.parent_at = entry.parent_at,
		.cut = entry.cut,
		.bare = entry.bare,
		.key = ol_view_from(
			queue->out.data + queue->out_at + sizeof entry, entry.key_size) };
	queue->out_at += sizeof entry + entry.key_size;
	queue->count--;
	return OL_OK;
}
