/*
 * All records of one path become one node. In the order of the tar, each record does to the node
 * what extracting it would:
 *
 *	            nothing     directory               something else
 *	directory   directory   keeps its children      replaces it: opaque
 *	implied     directory   –                       replaces it: opaque
 *	opaque      directory, and it is opaque
 *	else        the entry   replaces it: children   replaces it
 *	                        so far are cut
 *	whiteout    only says that nothing below shows, whenever it comes
 */
#include "base/alloc.h"
#include "snapshot/erofs_writer_priv.h"

int ol_erofs_stream_init(
	ol_erofs_stream *stream, ol_sorter *records, ol_sorter *links, ol_error *err)
{
	int rc = ol_sorter_rewind(records, err);

	*stream = (ol_erofs_stream){ .records = records, .links = links };
	if (rc == OL_OK)
		rc = ol_sorter_next(records, &stream->key, &stream->value, &stream->more, err);
	if (rc == OL_OK && links)
		rc = ol_sorter_next(
			links, &stream->link_key, &stream->link_value, &stream->link_more, err);
	return rc;
}

int ol_erofs_stream_next(ol_erofs_stream *stream, ol_error *err)
{
	return ol_sorter_next(stream->records, &stream->key, &stream->value, &stream->more, err);
}

int ol_erofs_stream_links(ol_erofs_stream *stream, ol_erofs_link_fact *out, ol_error *err)
{
	int rc = OL_OK;

	*out = (ol_erofs_link_fact){ 0 };
	while (rc == OL_OK && stream->link_more) {
		int order = ol_erofs_view_compare(stream->link_key, stream->key);

		if (order > 0)
			return OL_OK;
		/* One record is a target many times over, or a source once. */
		if (order == 0 && stream->link_value.data[0] == 't')
			out->is_target = true;
		if (order == 0 && stream->link_value.data[0] != 't') {
			out->is_source = true;
			out->is_cross = stream->link_value.data[0] == 'x';
			if (out->is_cross)
				out->target = ol_view_from(
					stream->link_value.data + 1, stream->link_value.size - 1);
			else
				memcpy(&out->inode, stream->link_value.data + 1, sizeof out->inode);
			return OL_OK;
		}
		rc = ol_sorter_next(stream->links, &stream->link_key, &stream->link_value,
			&stream->link_more, err);
	}
	return rc;
}

struct fold {
	ol_erofs_stream *stream;
	const ol_erofs_dir *parent;
	ol_erofs_node *node;
	ol_erofs_orphan orphan;
	void *ctx;
	bool whiteout, replaced;
};

static bool is_entry(ol_erofs_node_kind kind)
{
	return kind == OL_EROFS_NODE_INODE || kind == OL_EROFS_NODE_LINK ||
	       kind == OL_EROFS_NODE_CROSS;
}

/* What the node was ends here; hard links to it keep its inode. */
static int drop(struct fold *fold, ol_error *err)
{
	ol_erofs_node *node = fold->node;
	int rc = OL_OK;

	if (node->kind == OL_EROFS_NODE_INODE && node->exported)
		rc = fold->orphan(fold->ctx, node, err);
	node->exported = false;
	return rc;
}

static int become_dir(struct fold *fold, ol_error *err)
{
	ol_erofs_node *node = fold->node;
	int rc = drop(fold, err);

	if (is_entry(node->kind)) {
		fold->replaced = true;
		node->listed = false;
	}
	node->kind = OL_EROFS_NODE_DIR;
	return rc;
}

static int keep_record(ol_erofs_node *node, ol_view value, ol_error *err)
{
	ol_buf_clear(&node->value);
	ol_buf_add(&node->value, value.data, value.size);
	return ol_str_error(&node->value, err);
}

static int take_entry(struct fold *fold, uint64_t sequence, ol_error *err)
{
	ol_erofs_node *node = fold->node;
	ol_erofs_link_fact fact = { 0 };
	int rc = drop(fold, err);

	if (rc == OL_OK)
		rc = ol_erofs_stream_links(fold->stream, &fact, err);
	if (rc == OL_OK)
		rc = keep_record(node, fold->stream->value, err);
	if (rc < 0)
		return rc;
	node->kind = OL_EROFS_NODE_INODE;
	node->sequence = sequence;
	node->exported = fact.is_target;
	node->cut = sequence;
	node->opaque = node->holds_whiteout = false;
	if (fact.is_source && !fact.is_cross) {
		node->kind = OL_EROFS_NODE_LINK;
		node->link = fact.inode;
	} else if (fact.is_source) {
		node->kind = OL_EROFS_NODE_CROSS;
		ol_buf_clear(&node->target);
		ol_buf_add(&node->target, fact.target.data, fact.target.size);
	}
	return ol_str_error(&node->target, err);
}

/* A record of a path whose directory was replaced after it. */
static int take_dead(struct fold *fold, uint64_t sequence, ol_error *err)
{
	ol_erofs_record record = ol_erofs_record_decode(fold->stream->value);
	int rc;

	if (record.head.type == OL_TAR_DIR || record.head.type >= OL_TAR_WHITEOUT)
		return OL_OK;
	rc = take_entry(fold, sequence, err);
	if (rc == OL_OK)
		rc = drop(fold, err);
	fold->node->kind = OL_EROFS_NODE_NONE;
	fold->node->cut = fold->parent->cut;
	return rc;
}

static int take(struct fold *fold, uint64_t sequence, ol_error *err)
{
	ol_erofs_record record = ol_erofs_record_decode(fold->stream->value);
	ol_erofs_node *node = fold->node;
	int rc;

	switch (record.head.type) {
	case OL_TAR_WHITEOUT:
		fold->whiteout = true;
		return OL_OK;
	case OL_TAR_DIR:
		rc = become_dir(fold, err);
		node->listed = true;
		node->sequence = sequence;
		return rc < 0 ? rc : keep_record(node, fold->stream->value, err);
	case OL_TAR_OPAQUE:
		rc = become_dir(fold, err);
		node->opaque = true;
		return rc;
	case OL_EROFS_IMPLIED:
		rc = become_dir(fold, err);
		node->holds_whiteout = node->holds_whiteout || record.head.holds_whiteout;
		return rc;
	default:
		return take_entry(fold, sequence, err);
	}
}

static void conclude(struct fold *fold)
{
	const ol_erofs_dir *parent = fold->parent;
	ol_erofs_node *node = fold->node;
	bool is_root = ol_erofs_key_depth(ol_view_from(node->key.bytes, node->key.size)) == 0;

	if (node->kind == OL_EROFS_NODE_NONE && fold->whiteout && !parent->bare)
		node->kind = OL_EROFS_NODE_WHITEOUT;
	if (node->kind != OL_EROFS_NODE_DIR)
		return;
	node->opaque = node->opaque || fold->whiteout || fold->replaced;
	node->bare = parent->bare || node->opaque;
	/* A marker alone empties a directory of the layers below; its attributes still come from
	 * there. */
	node->leans =
		!node->listed && !parent->bare && !fold->whiteout && !fold->replaced && !is_root;
	if (node->bare)
		node->holds_whiteout = false;
}

int ol_erofs_fold(ol_erofs_stream *stream, const ol_erofs_dir *parent, ol_erofs_node *node,
	ol_erofs_orphan orphan, void *ctx, ol_error *err)
{
	struct fold fold = {
		.stream = stream, .parent = parent, .node = node, .orphan = orphan, .ctx = ctx
	};
	ol_view path = ol_erofs_key_path(stream->key);
	int rc = OL_OK;

	memcpy(node->key.bytes, path.data, path.size);
	node->key.size = path.size;
	node->kind = OL_EROFS_NODE_NONE;
	node->listed = node->leans = node->opaque = node->bare = node->holds_whiteout =
		node->exported = false;
	node->cut = parent->cut;
	while (rc == OL_OK && stream->more) {
		uint64_t sequence;

		if (ol_erofs_view_compare(ol_erofs_key_path(stream->key),
			    ol_view_from(node->key.bytes, node->key.size)) != 0)
			break;
		sequence = ol_erofs_key_sequence(stream->key);
		rc = sequence < parent->cut ? take_dead(&fold, sequence, err)
					    : take(&fold, sequence, err);
		if (rc == OL_OK)
			rc = ol_erofs_stream_next(stream, err);
	}
	if (rc == OL_OK)
		conclude(&fold);
	return rc;
}
