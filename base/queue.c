/*
 * Blocks go round:  blank ──producer fills──▶ full ──consumer uses──▶ blank
 *
 * One mutex guards both lists and the two last words. Blocks are large (256 KiB), so the lock is
 * taken some thousand times a second at most and needs no cleverness.
 */
#include "base/queue.h"

#include <pthread.h>

#include "base/alloc.h"

struct ol_queue {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	ol_block *blocks; /* owned: the array all blocks live in */
	size_t count;
	ol_block *blank;
	ol_block *full_first, **full_end;
	bool finished, given_up;
	int rc;
	ol_error error;
};

ol_queue *ol_queue_new(size_t count, size_t block_bytes)
{
	ol_queue *queue = ol_alloc(sizeof *queue);

	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->changed, NULL);
	queue->count = count;
	queue->blocks = ol_alloc_array(count, sizeof *queue->blocks);
	queue->full_end = &queue->full_first;
	for (size_t i = 0; i < count; i++) {
		queue->blocks[i].data = ol_alloc(block_bytes);
		queue->blocks[i].cap = block_bytes;
		queue->blocks[i].next = queue->blank;
		queue->blank = &queue->blocks[i];
	}
	return queue;
}

void ol_queue_free(ol_queue *queue)
{
	if (!queue)
		return;
	for (size_t i = 0; i < queue->count; i++)
		free(queue->blocks[i].data);
	free(queue->blocks);
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

int ol_queue_blank(ol_queue *queue, ol_block **out, ol_error *err)
{
	int rc = OL_OK;

	pthread_mutex_lock(&queue->lock);
	while (!queue->blank && !queue->given_up)
		pthread_cond_wait(&queue->changed, &queue->lock);
	if (queue->given_up) {
		rc = ol_fail(err, OL_ECANCELED, "nobody wants the rest");
	} else {
		*out = queue->blank;
		queue->blank = queue->blank->next;
		(*out)->size = 0;
	}
	pthread_mutex_unlock(&queue->lock);
	return rc;
}

void ol_queue_put(ol_queue *queue, ol_block *block)
{
	pthread_mutex_lock(&queue->lock);
	block->next = NULL;
	*queue->full_end = block;
	queue->full_end = &block->next;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

void ol_queue_finish(ol_queue *queue, int rc, const ol_error *err)
{
	pthread_mutex_lock(&queue->lock);
	if (!queue->finished) {
		queue->finished = true;
		queue->rc = rc;
		if (rc < 0 && err)
			queue->error = *err;
	}
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

int ol_queue_get(ol_queue *queue, ol_block **out, ol_error *err)
{
	int rc = OL_OK;

	pthread_mutex_lock(&queue->lock);
	while (!queue->full_first && !queue->finished)
		pthread_cond_wait(&queue->changed, &queue->lock);
	*out = queue->full_first;
	if (*out) {
		queue->full_first = (*out)->next;
		if (!queue->full_first)
			queue->full_end = &queue->full_first;
	} else if (queue->rc < 0) {
		rc = queue->rc;
		if (err)
			*err = queue->error;
	}
	pthread_mutex_unlock(&queue->lock);
	return rc;
}

void ol_queue_return(ol_queue *queue, ol_block *block)
{
	pthread_mutex_lock(&queue->lock);
	block->next = queue->blank;
	queue->blank = block;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

void ol_queue_give_up(ol_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->given_up = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}
