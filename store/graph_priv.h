#pragma once

/*
 * The edges of the store in memory: every digest a number, its children in one array. SQL can
 * follow edges as well, and does where the way is short; for all of them at once this is ten times
 * quicker.
 */
#include "store/store_priv.h"

#define OL_NODE_NONE UINT32_MAX

typedef struct ol_graph ol_graph;

/* Reads all edges, inside the reader's transaction. What is no digest is left out. */
int ol_graph_load(ol_db *db, ol_graph **out, ol_error *err);
void ol_graph_free(ol_graph *graph);
OL_DEFINE_AUTO(ol_graph, ol_graph_free)

/* Its number; OL_NODE_NONE for what has no edges. */
uint32_t ol_graph_find(const ol_graph *graph, const ol_digest *digest);
/* Sets a bit (1 to 128) on the node and all it reaches. Digests without edges are kept, too:
 * ol_graph_has tells of them. */
void ol_graph_mark(ol_graph *graph, const ol_digest *digest, uint8_t bit);
/* The first column of each row of a query without parameters, a digest, is marked. */
int ol_graph_mark_rows(ol_graph *graph, ol_db *db, const char *sql, uint8_t bit, ol_error *err);
bool ol_graph_has(const ol_graph *graph, const ol_digest *digest, uint8_t bit);
/* Calls for the node and all it reaches, each once. */
void ol_graph_walk(ol_graph *graph, const ol_digest *digest, void (*call)(void *ctx, uint32_t node),
	void *ctx);
/* Nodes are numbers below this; it grows with marks. */
uint32_t ol_graph_count(const ol_graph *graph);
