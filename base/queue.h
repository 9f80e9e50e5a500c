#pragma once

/*
 * A bounded queue of byte blocks between two threads, one on each side. The producer asks for an
 * empty block, fills it and puts it; the consumer gets it, uses it and returns it. All blocks are
 * made once: count times block_bytes of memory. A full queue makes the producer wait, an empty one
 * the consumer: this is the back-pressure of a pull.
 *
 *	producer: ol_queue_blank(q, &b) … b->size = n; ol_queue_put(q, b); … ol_queue_finish(q, …)
 *	consumer: ol_queue_get(q, &b, err) … ol_queue_return(q, b);            b == NULL is the end
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/own.h"

typedef struct ol_block {
	unsigned char *data; /* owned by the queue */
	size_t size, cap;    /* bytes in use, bytes there are */
	struct ol_block *next;
} ol_block;

typedef struct ol_queue ol_queue;

ol_queue *ol_queue_new(size_t count, size_t block_bytes);
void ol_queue_free(ol_queue *queue); /* both sides are done */
OL_DEFINE_AUTO(ol_queue, ol_queue_free)
/* OL_ECANCELED once the consumer has given up. */
int ol_queue_blank(ol_queue *queue, ol_block **out, ol_error *err);
void ol_queue_put(ol_queue *queue, ol_block *block);
/* The producer's last word: the end (rc == OL_OK), or its failure, which the consumer then gets. */
void ol_queue_finish(ol_queue *queue, int rc, const ol_error *err);
/* *out == NULL at the end; the producer's failure, with its words. */
int ol_queue_get(ol_queue *queue, ol_block **out, ol_error *err);
void ol_queue_return(ol_queue *queue, ol_block *block);
/* The consumer wants no more: the producer's next call answers OL_ECANCELED. */
void ol_queue_give_up(ol_queue *queue);
