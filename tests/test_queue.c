#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/queue.h"
#include "tests/check.h"

#define BLOCKS      4
#define BLOCK_BYTES 64

/* A producer in its own thread. */
struct producer {
	ol_queue *queue;
	size_t count; /* blocks to make; each holds its own number */
	int rc;       /* its last word */
	atomic_size_t made;
	int stopped; /* what ended it early, or OL_OK */
};

static void *produce(void *arg)
{
	struct producer *p = arg;
	ol_error err = { 0 };

	for (size_t i = 0; i < p->count; i++) {
		ol_block *block = NULL;

		p->stopped = ol_queue_blank(p->queue, &block, &err);
		if (p->stopped < 0)
			break;
		memcpy(block->data, &i, sizeof i);
		block->size = sizeof i;
		ol_queue_put(p->queue, block);
		atomic_fetch_add(&p->made, 1);
	}
	if (p->rc < 0)
		(void)ol_fail(&err, p->rc, "the far side hung up");
	ol_queue_finish(p->queue, p->rc, &err);
	return NULL;
}

static pthread_t start(struct producer *p)
{
	pthread_t thread;

	p->queue = ol_queue_new(BLOCKS, BLOCK_BYTES);
	CHECK_INT("thread", 0, pthread_create(&thread, NULL, produce, p));
	return thread;
}

static void stop(struct producer *p, pthread_t thread)
{
	CHECK_INT("join", 0, pthread_join(thread, NULL));
	ol_queue_free(p->queue);
}

/* Takes count blocks, which must be those from first on. */
static void consume(ol_queue *queue, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		ol_block *block = NULL;
		size_t number = SIZE_MAX;

		CHECK_INT("get", OL_OK, ol_queue_get(queue, &block, NULL));
		assert_non_null(block);
		CHECK_INT("size", sizeof number, (long long)block->size);
		memcpy(&number, block->data, sizeof number);
		CHECK_INT("in order", (long long)i, (long long)number);
		ol_queue_return(queue, block);
	}
}

static void blocks_come_in_order_and_then_the_end(void **state)
{
	struct producer p = { .count = 10000 };
	pthread_t thread = start(&p);
	ol_block *block = NULL;

	(void)state;
	consume(p.queue, 0, p.count);
	CHECK_INT("end", OL_OK, ol_queue_get(p.queue, &block, NULL));
	assert_null(block);
	CHECK_INT("again", OL_OK, ol_queue_get(p.queue, &block, NULL));
	assert_null(block);
	stop(&p, thread);
}

static void a_full_queue_makes_the_producer_wait(void **state)
{
	struct producer p = { .count = 100 };
	pthread_t thread = start(&p);

	(void)state;
	for (int i = 0; i < 5000 && atomic_load(&p.made) < BLOCKS; i++)
		ol_sleep_ms(1);
	ol_sleep_ms(20);
	CHECK_INT("no more than there are", BLOCKS, (long long)atomic_load(&p.made));
	consume(p.queue, 0, p.count);
	stop(&p, thread);
	CHECK_INT("all", 100, (long long)atomic_load(&p.made));
}

static void a_failure_comes_after_what_was_made(void **state)
{
	struct producer p = { .count = 2, .rc = OL_EUNAVAILABLE };
	pthread_t thread = start(&p);
	ol_block *block = NULL;
	ol_error err = { 0 };

	(void)state;
	consume(p.queue, 0, 2);
	CHECK_INT("failure", OL_EUNAVAILABLE, ol_queue_get(p.queue, &block, &err));
	CHECK_STR("its words", "the far side hung up", err.text);
	assert_null(block);
	stop(&p, thread);
}

static void a_consumer_may_give_up(void **state)
{
	struct producer p = { .count = SIZE_MAX };
	pthread_t thread = start(&p);

	(void)state;
	consume(p.queue, 0, 10);
	ol_queue_give_up(p.queue);
	stop(&p, thread);
	CHECK_INT("told", OL_ECANCELED, p.stopped);
}

static void the_first_last_word_counts(void **state)
{
	ol_auto(ol_queue_free) ol_queue *queue = ol_queue_new(1, 1);
	ol_block *block = NULL;
	ol_error err = { 0 };

	(void)state;
	(void)ol_fail(&err, OL_ECORRUPT, "first");
	ol_queue_finish(queue, OL_ECORRUPT, &err);
	ol_queue_finish(queue, OL_OK, NULL);
	CHECK_INT("get", OL_ECORRUPT, ol_queue_get(queue, &block, &err));
	CHECK_STR("get", "first", err.text);
	ol_queue_free(NULL);
}

static void blocks_are_blank_and_of_their_size(void **state)
{
	ol_auto(ol_queue_free) ol_queue *queue = ol_queue_new(2, BLOCK_BYTES);
	ol_block *a = NULL, *b = NULL;

	(void)state;
	CHECK_INT("blank", OL_OK, ol_queue_blank(queue, &a, NULL));
	CHECK_INT("cap", BLOCK_BYTES, (long long)a->cap);
	a->size = 5;
	ol_queue_put(queue, a);
	CHECK_INT("get", OL_OK, ol_queue_get(queue, &b, NULL));
	assert_ptr_equal(a, b);
	ol_queue_return(queue, b);
	CHECK_INT("blank", OL_OK, ol_queue_blank(queue, &a, NULL));
	CHECK_INT("size", 0, (long long)a->size);
	ol_queue_put(queue, a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_come_in_order_and_then_the_end),
		cmocka_unit_test(a_full_queue_makes_the_producer_wait),
		cmocka_unit_test(a_failure_comes_after_what_was_made),
		cmocka_unit_test(a_consumer_may_give_up),
		cmocka_unit_test(the_first_last_word_counts),
		cmocka_unit_test(blocks_are_blank_and_of_their_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
