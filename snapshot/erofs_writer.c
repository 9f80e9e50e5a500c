/*
 * The writer's face: entries become records as they come; finish sorts them, finds what hard links
 * mean, writes the tree and then the superblock.
 */
#include "snapshot/erofs_writer.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/temp.h"
#include "snapshot/erofs_writer_priv.h"

/* Records for directories that a tar does not list, in bytes of keys: a tar that zigzags between
 * very deep paths would make hundreds of them an entry. */
#define IMPLIED_BYTES_MAX ((uint64_t)1 << 30)
/* Chunk tables of all sparse files together: 64 MiB of index. A small tar may describe very large
 * files. */
#define CHUNKS_TOTAL_MAX (8 * OL_CHUNKS_MAX)
/* complete() adds entries for what the layers below have: room for as many again. */
#define SEQUENCE_MAX (2 * OL_LAYER_ENTRIES_MAX)

struct ol_erofs_writer {
	ol_erofs_writer_options options;
	size_t budget;
	ol_sorter *records; /* owned */
	ol_sorter *wanted;  /* owned: hard links by what they name; NULL until the first */
	ol_sorter *links;   /* owned: facts about them */
	uint64_t sequence, implied_bytes, chunks;
	ol_buf value;
	ol_erofs_key key, link_key;
	char last[OL_PATH_MAX +
		  1];     /* the path before this one: its directories are implied already */
	size_t last_size; /* of last, up to where it names directories */
	char last_whiteout_dir[OL_PATH_MAX + 1];
	bool last_was_whiteout;
	int payload_fd; /* owned, -1 until needed: embedded data */
	uint64_t payload_bytes;
};

ol_erofs_writer *ol_erofs_writer_new(const ol_erofs_writer_options *options)
{
	ol_erofs_writer *writer = ol_alloc(sizeof *writer);

	writer->options = *options;
	writer->budget = options->budget_bytes ? options->budget_bytes : OL_UNPACK_BUDGET_BYTES;
	writer->records = ol_sorter_new(options->temp_fd, writer->budget);
	/* A record is at most a target, xattrs and OL_SPARSE_PIECES_MAX pieces. */
	writer->value = OL_BUF((size_t)16 << 20);
	writer->payload_fd = -1;
	return writer;
}

void ol_erofs_writer_free(ol_erofs_writer *writer)
{
	if (!writer)
		return;
	ol_sorter_free(writer->records);
	ol_sorter_free(writer->wanted);
	ol_sorter_free(writer->links);
	ol_buf_done(&writer->value);
	if (writer->payload_fd >= 0)
		(void)close(writer->payload_fd);
	free(writer);
}

static int add_implied(ol_erofs_writer *writer, ol_view path, bool holds_whiteout, ol_error *err)
{
	ol_view key;

	ol_erofs_key_set(&writer->key, path);
	key = ol_erofs_key_record(&writer->key, writer->sequence);
	writer->implied_bytes += key.size;
	if (writer->implied_bytes > IMPLIED_BYTES_MAX)
		return ol_fail(err, OL_EUNSUPPORTED, "too many directories that are not listed");
	ol_erofs_record_encode_implied(holds_whiteout, &writer->value);
	return ol_sorter_add(writer->records, key, ol_buf_view(&writer->value), err);
}

static size_t parent_size(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

/* How much of path names directories that the entry before this one implied too: nothing can have
 * changed them since. */
static size_t known_size(const ol_erofs_writer *writer, const char *path)
{
	size_t known = 0, i = 0;

	while (i < writer->last_size && path[i] == writer->last[i]) {
		if (path[i] == '/')
			known = i;
		i++;
	}
	return i == writer->last_size && path[i] == '/' ? i : known;
}

/* All directories above an entry's path. */
static int add_parents(ol_erofs_writer *writer, const ol_tar_entry *entry, ol_error *err)
{
	size_t end = parent_size(entry->name), known = known_size(writer, entry->name);
	bool whiteout = entry->type == OL_TAR_WHITEOUT;

	for (size_t i = known + 1; i < end; i++) {
		int rc = OL_OK;

		if (entry->name[i] == '/')
			rc = add_implied(writer, ol_view_from(entry->name, i), false, err);
		if (rc < 0)
			return rc;
	}
	if (whiteout && !(writer->last_was_whiteout && strlen(writer->last_whiteout_dir) == end &&
				memcmp(writer->last_whiteout_dir, entry->name, end) == 0)) {
		memcpy(writer->last_whiteout_dir, entry->name, end);
		writer->last_whiteout_dir[end] = '\0';
		writer->last_was_whiteout = true;
		return add_implied(writer, ol_view_from(entry->name, end), true, err);
	}
	writer->last_was_whiteout = whiteout;
	return end > known ? add_implied(writer, ol_view_from(entry->name, end), false, err)
			   : OL_OK;
}

static void remember(ol_erofs_writer *writer, const ol_tar_entry *entry)
{
	size_t size = strlen(entry->name);
	bool is_dir = entry->type == OL_TAR_DIR || entry->type == OL_TAR_OPAQUE;

	memcpy(writer->last, entry->name, size + 1);
	writer->last_size = is_dir ? size : parent_size(entry->name);
}

/* What the tar reader refuses already: the writer's arithmetic rests on it. */
static int check_entry(const ol_tar_entry *entry, ol_error *err)
{
	size_t size = strlen(entry->name);
	bool is_dir = entry->type == OL_TAR_DIR || entry->type == OL_TAR_OPAQUE;

	if (size > OL_PATH_MAX || strlen(entry->target) > OL_PATH_MAX)
		return ol_fail(err, OL_ELIMIT, "path of %zu bytes", size);
	if (!size && !is_dir)
		return ol_fail(err, OL_ECORRUPT, "the root is not a directory");
	if (entry->type == OL_TAR_HARDLINK && !*entry->target)
		return ol_fail(err, OL_ECORRUPT, "hard link to a directory");
	if (entry->type == OL_TAR_CHAR && !entry->dev_major && !entry->dev_minor)
		return ol_fail(err, OL_ECORRUPT, "a device that stands for a whiteout");
	for (size_t start = 0; start < size;) {
		size_t length = strcspn(entry->name + start, "/");

		if (length == 0 || length > OL_NAME_MAX)
			return ol_fail(err, OL_ELIMIT, "name of %zu bytes", length);
		start += length + 1;
	}
	return OL_OK;
}

static int want_link(ol_erofs_writer *writer, const ol_tar_entry *entry, ol_error *err)
{
	ol_view wanted;

	if (!writer->wanted) {
		writer->wanted = ol_sorter_new(writer->options.temp_fd, writer->budget / 8);
		writer->links = ol_sorter_new(writer->options.temp_fd, writer->budget / 8);
	}
	ol_erofs_key_set(&writer->link_key, ol_view_of(entry->target));
	wanted = ol_erofs_key_record(&writer->link_key, writer->sequence);
	return ol_sorter_add(
		writer->wanted, wanted, ol_erofs_key_record(&writer->key, writer->sequence), err);
}

int ol_erofs_writer_add(
	ol_erofs_writer *writer, const ol_tar_entry *entry, unsigned device, ol_error *err)
{
	int rc = check_entry(entry, err);

	if (rc == OL_OK && ++writer->sequence > SEQUENCE_MAX)
		rc = ol_fail(
			err, OL_ELIMIT, "more than %llu entries", (unsigned long long)SEQUENCE_MAX);
	if (rc == OL_OK && *entry->name)
		rc = add_parents(writer, entry, err);
	if (rc == OL_OK)
		rc = ol_erofs_record_encode(entry, device, &writer->value, err);
	if (rc < 0)
		return rc;
	if (entry->type == OL_TAR_FILE && entry->sparse) {
		ol_erofs_record record = ol_erofs_record_decode(ol_buf_view(&writer->value));

		writer->chunks += ol_erofs_record_chunks(&record.head);
		if (writer->chunks > CHUNKS_TOTAL_MAX)
			return ol_fail(err, OL_EUNSUPPORTED, "%s: too many pieces for an index",
				entry->name);
	}
	ol_erofs_key_set(&writer->key, ol_view_of(entry->name));
	rc = ol_sorter_add(writer->records, ol_erofs_key_record(&writer->key, writer->sequence),
		ol_buf_view(&writer->value), err);
	if (rc == OL_OK && entry->type == OL_TAR_HARDLINK)
		rc = want_link(writer, entry, err);
	remember(writer, entry);
	return rc;
}

int ol_erofs_writer_add_embedded(
	ol_erofs_writer *writer, const ol_tar_entry *entry, ol_source *data, ol_error *err)
{
	ol_tar_entry placed = *entry;
	char block[64 << 10];
	int rc = OL_OK;

	if (writer->payload_fd < 0)
		rc = ol_temp_open(writer->options.temp_fd, &writer->payload_fd, err);
	placed.size = data->size;
	placed.data_offset = writer->payload_bytes;
	placed.sparse = NULL;
	for (uint64_t done = 0; rc == OL_OK && done < data->size;) {
		uint64_t left = data->size - done;
		size_t n = left < sizeof block ? (size_t)left : sizeof block;

		rc = ol_source_read_at(data, done, block, n, err);
		if (rc == OL_OK)
			rc = ol_pwrite_all(
				writer->payload_fd, block, n, writer->payload_bytes, err);
		done += n;
		writer->payload_bytes += n;
	}
	return rc < 0 ? rc : ol_erofs_writer_add(writer, &placed, 0, err);
}

static int resolve_links(ol_erofs_writer *writer, ol_error *err)
{
	const ol_erofs_link_job job = { .records = writer->records,
		.wanted = writer->wanted,
		.out = writer->links,
		.temp_fd = writer->options.temp_fd,
		.budget_bytes = writer->budget / 8 };
	int rc = OL_OK;

	if (!writer->wanted)
		return OL_OK;
	rc = ol_erofs_links_resolve(&job, err);
	return rc < 0 ? rc : ol_sorter_sort(writer->links, err);
}

static int write_slots(
	ol_erofs_output *output, const ol_erofs_device *devices, size_t count, ol_error *err)
{
	int rc = OL_OK;

	for (size_t i = 0; rc == OL_OK && i < count; i++) {
		struct ol_erofs_slot slot = { 0 };

		memcpy(slot.tag, devices[i].digest.bytes,
			ol_algorithm_size(devices[i].digest.algorithm));
		ol_put32(slot.blocks,
			(uint32_t)((devices[i].bytes + OL_EROFS_BLOCK - 1) / OL_EROFS_BLOCK));
		rc = ol_erofs_output_add(output, &slot, sizeof slot, err);
	}
	return rc;
}

/* Everything in it follows from what was written. There is no checksum in it: the digest of the
 * index covers more, and fsck.erofs 1.8 crashes on one with blocks of 512. */
static int write_super(
	ol_erofs_output *output, const ol_erofs_tree_result *tree, size_t devices, ol_error *err)
{
	struct ol_erofs_super super = { .block_bits = OL_EROFS_BLOCK_BITS };

	ol_put32(super.magic, OL_EROFS_MAGIC);
	ol_put32(super.compat, OL_EROFS_COMPAT_MTIME);
	ol_put32(super.incompat,
		OL_EROFS_INCOMPAT_CHUNKED | (devices ? OL_EROFS_INCOMPAT_DEVICES : 0));
	ol_put16(super.root_node, (uint16_t)(tree->root_at / OL_EROFS_NODE_BYTES));
	ol_put64(super.inodes, tree->inodes);
	ol_put32(super.blocks, (uint32_t)(output->position / OL_EROFS_BLOCK));
	ol_put16(super.devices, (uint16_t)devices);
	ol_put16(super.device_slot,
		(uint16_t)((OL_EROFS_SUPER_AT + sizeof super) / sizeof(struct ol_erofs_slot)));
	ol_put64(super.uuid, output->mixed[0]);
	ol_put64(super.uuid + 8, output->mixed[1]);
	super.uuid[6] = (uint8_t)((super.uuid[6] & 0x0f) |
				  0x80); /* RFC 9562: version 8, made as one likes */
	super.uuid[8] = (uint8_t)((super.uuid[8] & 0x3f) | 0x80);
	return ol_erofs_output_patch(output, OL_EROFS_SUPER_AT, &super, sizeof super, err);
}

static int write_index(ol_erofs_writer *writer, ol_erofs_output *output,
	const ol_erofs_device *devices, size_t count, ol_erofs_written *out, ol_error *err)
{
	const ol_erofs_tree_job job = { .records = writer->records,
		.links = writer->links,
		.output = output,
		.temp_fd = writer->options.temp_fd,
		.payload_fd = writer->payload_fd,
		.budget_bytes = writer->budget,
		.userxattr = writer->options.userxattr };
	ol_erofs_tree_result tree = { 0 };
	int rc = ol_erofs_output_zeros(
		output, OL_EROFS_SUPER_AT + sizeof(struct ol_erofs_super), err);

	if (rc == OL_OK)
		rc = write_slots(output, devices, count, err);
	if (rc == OL_OK)
		rc = ol_erofs_tree_write(&job, &tree, err);
	if (rc == OL_OK)
		rc = ol_erofs_output_align(output, OL_EROFS_BLOCK, err);
	if (rc == OL_OK)
		rc = ol_erofs_output_flush(output, err);
	if (rc == OL_OK)
		rc = write_super(output, &tree, count, err);
	if (rc == OL_OK)
		*out = (ol_erofs_written){ .leans = tree.leans, .bytes = output->position };
	return rc;
}

static int hash_file(int fd, uint64_t size, ol_digest *out, ol_error *err)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	char block[64 << 10];

	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < sizeof block ? (size_t)(size - at) : sizeof block;
		int rc = ol_pread_all(fd, block, n, at, err);

		if (rc < 0)
			return ol_wrap(err, rc, "index");
		ol_hasher_update(hasher, block, n);
		at += n;
	}
	*out = ol_hasher_final(hasher);
	return OL_OK;
}

int ol_erofs_writer_finish(ol_erofs_writer *writer, const ol_erofs_device *devices, size_t count,
	ol_erofs_written *out, ol_error *err)
{
	ol_erofs_output output;
	ol_erofs_written written;
	int rc;

	if (count > OL_EROFS_DEVICES_MAX)
		return ol_fail(err, OL_EUNSUPPORTED, "more tars than an index can point into");
	rc = ol_sorter_sort(writer->records, err);
	if (rc == OL_OK)
		rc = resolve_links(writer, err);
	if (rc < 0)
		return rc;
	ol_erofs_output_init(&output, writer->options.index_fd);
	rc = write_index(writer, &output, devices, count, &written, err);
	ol_erofs_output_done(&output);
	if (rc == OL_OK)
		rc = hash_file(writer->options.index_fd, written.bytes, &written.digest, err);
	if (rc == OL_OK)
		*out = written;
	return rc;
}
