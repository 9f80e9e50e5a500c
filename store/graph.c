#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "store/graph_priv.h"

struct node {
	ol_digest digest;
	uint32_t first, count; /* of its children, in the array of edges */
	uint32_t seen;         /* the last walk that came by */
	uint8_t bits;
};

struct edge {
	uint32_t parent, child;
};

struct ol_graph {
	struct node *nodes; /* owned */
	uint32_t count;
	size_t cap;
	uint32_t *slots; /* owned: a hash table of node + 1, 0: free; its size a power of two */
	size_t slot_count;
	struct edge *edges; /* owned; by parent */
	size_t edge_count, edge_cap;
	uint32_t *stack; /* owned: room for every node */
	size_t stack_cap;
	uint32_t walks;
};

void ol_graph_free(ol_graph *graph)
{
	if (!graph)
		return;
	free(graph->nodes);
	free(graph->slots);
	free(graph->edges);
	free(graph->stack);
	free(graph);
}

/* A digest is random enough by itself. */
static size_t slot_of(const ol_graph *graph, const ol_digest *digest)
{
	uint64_t hash;

	memcpy(&hash, digest->bytes, sizeof hash);
	return (size_t)hash & (graph->slot_count - 1);
}

/* Where it stands, or where it would. */
static uint32_t *look_up(const ol_graph *graph, const ol_digest *digest)
{
	size_t at = slot_of(graph, digest);

	while (graph->slots[at] &&
		!ol_digest_eq(&graph->nodes[graph->slots[at] - 1].digest, digest))
		at = (at + 1) & (graph->slot_count - 1);
	return &graph->slots[at];
}

static void grow_slots(ol_graph *graph)
{
	free(graph->slots);
	graph->slot_count = graph->slot_count ? 2 * graph->slot_count : 1024;
	graph->slots = ol_alloc_array(graph->slot_count, sizeof *graph->slots);
	for (uint32_t i = 0; i < graph->count; i++)
		*look_up(graph, &graph->nodes[i].digest) = i + 1;
}

static uint32_t node_of(ol_graph *graph, const ol_digest *digest)
{
	uint32_t *slot;

	if (2 * ((size_t)graph->count + 1) > graph->slot_count)
		grow_slots(graph);
	slot = look_up(graph, digest);
	if (*slot)
		return *slot - 1;
	assert(graph->count < OL_NODE_NONE - 1);
	OL_GROW(graph->nodes, graph->count, graph->cap);
	graph->nodes[graph->count] = (struct node){ .digest = *digest };
	*slot = ++graph->count;
	return graph->count - 1;
}

/* The children of a node stand together: the rows come by parent. */
static void add_edge(ol_graph *graph, const ol_digest *parent, const ol_digest *child)
{
	const uint32_t from = node_of(graph, parent), to = node_of(graph, child);
	struct node *node = &graph->nodes[from];

	OL_GROW(graph->edges, graph->edge_count, graph->edge_cap);
	graph->edges[graph->edge_count] = (struct edge){ from, to };
	if (node->count == 0)
		node->first = (uint32_t)graph->edge_count;
	node->count++;
	graph->edge_count++;
}

int ol_graph_load(ol_db *db, ol_graph **out, ol_error *err)
{
	ol_auto(ol_graph_free) ol_graph *graph = ol_alloc(sizeof *graph);
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT parent, child FROM edges UNION SELECT subject, blob FROM attached ORDER BY "
		"1, 2",
		"");

	grow_slots(graph);
	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		ol_digest parent, child;

		if (ol_column_digest(stmt, 0, false, &parent, NULL) == OL_OK &&
			ol_column_digest(stmt, 1, false, &child, NULL) == OL_OK)
			add_edge(graph, &parent, &child);
	}
	if (rc < 0)
		return rc;
	*out = ol_steal(&graph);
	return OL_OK;
}

uint32_t ol_graph_find(const ol_graph *graph, const ol_digest *digest)
{
	const uint32_t *slot = look_up(graph, digest);

	return *slot ? *slot - 1 : OL_NODE_NONE;
}

uint32_t ol_graph_count(const ol_graph *graph)
{
	return graph->count;
}

/* Puts the children of a node that are still to be visited on the stack. */
static size_t push_children(ol_graph *graph, uint32_t node, size_t height)
{
	const struct node *n = &graph->nodes[node];

	for (uint32_t i = 0; i < n->count; i++) {
		const uint32_t child = graph->edges[n->first + i].child;

		if (graph->nodes[child].seen == graph->walks)
			continue;
		graph->nodes[child].seen = graph->walks;
		graph->stack[height++] = child;
	}
	return height;
}

static void begin_walk(ol_graph *graph)
{
	if (graph->stack_cap < graph->count) {
		graph->stack_cap = graph->cap;
		graph->stack =
			ol_realloc_array(graph->stack, graph->stack_cap, sizeof *graph->stack);
	}
	graph->walks++;
	assert(graph->walks != 0);
}

void ol_graph_walk(
	ol_graph *graph, const ol_digest *digest, void (*call)(void *ctx, uint32_t node), void *ctx)
{
	const uint32_t start = node_of(graph, digest);
	size_t height = 0;

	begin_walk(graph);
	graph->nodes[start].seen = graph->walks;
	graph->stack[height++] = start;
	while (height > 0) {
		const uint32_t node = graph->stack[--height];

		call(ctx, node);
		height = push_children(graph, node, height);
	}
}

/* What has the bit has given it to all below already. */
void ol_graph_mark(ol_graph *graph, const ol_digest *digest, uint8_t bit)
{
	uint32_t node = node_of(graph, digest);
	size_t height = 0;

	if (graph->nodes[node].bits & bit)
		return;
	begin_walk(graph);
	graph->nodes[node].bits |= bit;
	graph->stack[height++] = node;
	while (height > 0) {
		const struct node *n = &graph->nodes[graph->stack[--height]];

		for (uint32_t i = 0; i < n->count; i++) {
			node = graph->edges[n->first + i].child;
			if (graph->nodes[node].bits & bit)
				continue;
			graph->nodes[node].bits |= bit;
			graph->stack[height++] = node;
		}
	}
}

int ol_graph_mark_rows(ol_graph *graph, ol_db *db, const char *sql, uint8_t bit, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt, sql, "");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		ol_digest digest;

		if (ol_column_digest(stmt, 0, false, &digest, NULL) == OL_OK)
			ol_graph_mark(graph, &digest, bit);
	}
	return rc;
}

bool ol_graph_has(const ol_graph *graph, const ol_digest *digest, uint8_t bit)
{
	const uint32_t node = ol_graph_find(graph, digest);

	return node != OL_NODE_NONE && (graph->nodes[node].bits & bit) != 0;
}
