#include <pthread.h>
#include <stdio.h>

#include "cmd/progress.h"
#include "cmd/progress_model.h"
#include "tests/check.h"

#define MB ((uint64_t)1000000)

static ol_event layer(
	unsigned index, unsigned count, ol_layer_state state, uint64_t done, uint64_t total)
{
	const unsigned char name = (unsigned char)('a' + index);

	return (ol_event){ .kind = OL_EVENT_LAYER,
		.state = state,
		.digest = ol_digest_of(OL_SHA256, &name, 1),
		.done = done,
		.total = total,
		.layer = index,
		.layers = count };
}

static bool apply(ol_progress_model *model, ol_event event, uint64_t now_ms)
{
	bool changed = ol_progress_apply(model, &event, now_ms);

	ol_progress_tick(model, now_ms);
	return changed;
}

static void a_frame_has_a_bar_a_rate_and_the_time_left(void **state)
{
	const ol_screen screen = { .columns = 90, .lines = 24 };
	ol_progress_model model = { 0 };
	ol_auto_str ol_str out = OL_STR(1 << 16);

	(void)state;
	apply(&model, layer(0, 2, OL_LAYER_FETCHING, 0, 40 * MB), 0);
	apply(&model, layer(1, 2, OL_LAYER_EXISTS, 5 * MB, 5 * MB), 0);
	apply(&model, layer(0, 2, OL_LAYER_FETCHING, 10 * MB, 40 * MB), 1000);
	apply(&model, layer(0, 2, OL_LAYER_FETCHING, 20 * MB, 40 * MB), 2000);
	ol_progress_draw(&model, &screen, 2000, false, &out);
	CHECK_STR("frame",
		"ca978112ca1b Downloading    ============>                     20MB/40MB     "
		"10MB/s      3s\n"
		"3e23e8160039 Already exists\n"
		"1 of 2 layers               ============>                     20MB/40MB     "
		"10MB/s      3s\n",
		ol_str_text(&out));
	ol_progress_model_done(&model);
}

static void what_was_resumed_does_not_count_as_speed(void **state)
{
	ol_progress_model model = { 0 };
	ol_event first = layer(0, 1, OL_LAYER_WAITING, 0, 100 * MB),
		 second = layer(0, 1, OL_LAYER_FETCHING, 80 * MB, 100 * MB);

	(void)state;
	second.resumed = 80 * MB;
	apply(&model, first, 0);
	apply(&model, second, 1000);
	CHECK_INT("rate", 0, (long long)ol_rate_of(&model.layers[0].rate));
	second.done = 82 * MB;
	apply(&model, second, 2000);
	CHECK_INT("rate", 1000000, (long long)ol_rate_of(&model.layers[0].rate));
	CHECK_INT("sum", 2000000, (long long)ol_progress_sum_of(&model).fetched);
	ol_progress_model_done(&model);
}

static void what_was_there_is_not_counted_as_fetched(void **state)
{
	ol_progress_model model = { 0 };
	ol_progress_sum sum;

	(void)state;
	apply(&model, layer(0, 1, OL_LAYER_EXISTS, 5 * MB, 5 * MB), 0);
	CHECK_INT("changed", 0, apply(&model, layer(0, 1, OL_LAYER_COMPLETE, 5 * MB, 5 * MB), 1));
	sum = ol_progress_sum_of(&model);
	CHECK_INT("existing", 1, (long long)sum.existing);
	CHECK_INT("fetched", 0, (long long)sum.fetched);
	CHECK_INT("over", 1, ol_progress_is_over(&model));
	ol_progress_model_done(&model);
}

/* Whatever the terminal, no line is wider and no frame taller. */
static void a_frame_never_leaves_the_screen(void **state)
{
	ol_progress_model model = { 0 };

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		apply(&model,
			layer(i, 40, i % 3 ? OL_LAYER_FETCHING : OL_LAYER_WAITING, i * MB, 40 * MB),
			100);
	for (unsigned columns = 1; columns < 200; columns += 7)
		for (unsigned lines = 1; lines < 60; lines += 5) {
			const ol_screen screen = { .columns = columns,
				.lines = lines,
				.colour = lines % 2,
				.utf8 = true };
			ol_auto_str ol_str out = OL_STR(1 << 16);
			unsigned count = 0;

			ol_progress_draw(&model, &screen, 200, false, &out);
			for (size_t i = 0; i < out.size; i++)
				count += out.data[i] == '\n';
			CHECK_INT("width", count, ol_progress_rows(ol_buf_view(&out), columns));
			assert_true(count <= (lines > 3 ? lines - 1 : 2));
		}
	ol_progress_model_done(&model);
}

static void rows_are_counted_after_a_resize(void **state)
{
	(void)state;
	CHECK_INT("fits", 2, ol_progress_rows(ol_view_of("aaaa\nbb\n"), 4));
	CHECK_INT("wraps", 3, ol_progress_rows(ol_view_of("aaaa\nbb\n"), 3));
	CHECK_INT("colours", 1, ol_progress_rows(ol_view_of("\033[32maa\033[0m\n"), 2));
	CHECK_INT("empty", 1, ol_progress_rows(ol_view_of("\n"), 2));
}

static void what_a_registry_says_cannot_move_the_cursor(void **state)
{
	const ol_screen screen = { .columns = 80, .lines = 24 };
	ol_progress_model model = { 0 };
	ol_auto_str ol_str out = OL_STR(1 << 16);
	ol_event event = layer(0, 1, OL_LAYER_RETRYING, 0, MB);

	(void)state;
	event.text = "\033[2Jgone\n";
	apply(&model, event, 0);
	ol_progress_draw(&model, &screen, 0, false, &out);
	CHECK_STR("frame", "ca978112ca1b Retrying       \\x1b[2Jgone\\x0a\n", ol_str_text(&out));
	ol_progress_model_done(&model);
}

static void a_pipe_gets_a_line_for_each_change_and_few_others(void **state)
{
	ol_progress_model model = { 0 };
	ol_auto_str ol_str out = OL_STR(1 << 16);

	(void)state;
	for (uint64_t ms = 0; ms <= 12000; ms += 100) {
		ol_event event = layer(0, 1,
			ms < 200     ? OL_LAYER_WAITING
			: ms < 12000 ? OL_LAYER_FETCHING
				     : OL_LAYER_COMPLETE,
			ms * 1000, 12 * MB);

		ol_progress_plain(&model, &event, apply(&model, event, ms), ms, &out);
	}
	CHECK_STR("lines",
		"ca978112ca1b: Pulling fs layer\n"
		"ca978112ca1b: Downloading 12MB\n"
		"0 of 1 layers, 5MB of 12MB, 1MB/s, 8s left\n"
		"0 of 1 layers, 10MB of 12MB, 1MB/s, 3s left\n"
		"ca978112ca1b: Pull complete\n",
		ol_str_text(&out));
	ol_progress_model_done(&model);
}

static void a_program_gets_json_lines(void **state)
{
	ol_progress_model model = { 0 };
	ol_auto_str ol_str out = OL_STR(1 << 16);
	ol_event events[] = { { .kind = OL_EVENT_RESOLVED, .text = "a:1" },
		{ .kind = OL_EVENT_NOTE, .text = "b \"c\"" }, layer(0, 1, OL_LAYER_FETCHING, 1, 2),
		layer(0, 1, OL_LAYER_FETCHING, 2, 2), layer(0, 1, OL_LAYER_COMPLETE, 2, 2),
		{ .kind = OL_EVENT_PROGRESS, .text = "hashing", .done = 1, .total = 3 } };

	(void)state;
	OL_EACH (events, event)
		ol_progress_json(&model, event, ol_progress_apply(&model, event, 7), 7, &out);
	CHECK_STR("lines",
		"{\"event\":\"resolved\",\"ms\":7,\"ref\":\"a:1\",\"digest\":\"\"}\n"
		"{\"event\":\"note\",\"ms\":7,\"text\":\"b \\\"c\\\"\"}\n"
		"{\"event\":\"layer\",\"ms\":7,\"layer\":0,\"layers\":1,\"digest\":\"sha256:"
		"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\",\"state\":"
		"\"fetching\",\"done\":1,\"total\":2,"
		"\"resumed\":0,\"rate\":0}\n"
		"{\"event\":\"layer\",\"ms\":7,\"layer\":0,\"layers\":1,\"digest\":\"sha256:"
		"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\",\"state\":"
		"\"complete\",\"done\":2,\"total\":2,"
		"\"resumed\":0,\"rate\":0}\n"
		"{\"event\":\"progress\",\"ms\":7,\"done\":1,\"total\":3,\"text\":\"hashing\"}\n",
		ol_str_text(&out));
	ol_progress_model_done(&model);
}

typedef struct sender {
	ol_listener listener;
	unsigned index;
} sender;

static void *send_events(void *ctx)
{
	const sender *s = ctx;

	for (uint64_t done = 0; done <= 2000; done++) {
		ol_event event = layer(s->index, 4,
			done < 2000 ? OL_LAYER_FETCHING : OL_LAYER_COMPLETE, done, 2000);

		ol_tell(&s->listener, &event);
	}
	return NULL;
}

/* Four layers at once; the last one's end has drawn and ended all before it returns. */
static void events_may_come_from_many_threads(void **state)
{
	static const ol_progress_mode modes[] = { OL_PROGRESS_AUTO, OL_PROGRESS_PLAIN,
		OL_PROGRESS_JSON, OL_PROGRESS_NONE };

	(void)state;
	OL_EACH (modes, mode) {
		ol_console console = { .err_tty = true, .err_bars = *mode == OL_PROGRESS_AUTO };
		FILE *file = tmpfile();
		ol_progress *progress = ol_progress_new(&console, *mode, file);
		pthread_t threads[4];
		sender senders[4];
		long size;

		assert_non_null(file);
		for (unsigned i = 0; i < 4; i++) {
			senders[i] = (sender){ ol_progress_listener(progress), i };
			assert_int_equal(
				0, pthread_create(&threads[i], NULL, send_events, &senders[i]));
		}
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(0, pthread_join(threads[i], NULL));
		size = ftell(file);
		ol_progress_free(progress);
		CHECK_INT("all was written", size, ftell(file));
		CHECK_INT("none is none", *mode == OL_PROGRESS_NONE, size == 0);
		(void)fclose(file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_has_a_bar_a_rate_and_the_time_left),
		cmocka_unit_test(what_was_resumed_does_not_count_as_speed),
		cmocka_unit_test(what_was_there_is_not_counted_as_fetched),
		cmocka_unit_test(a_frame_never_leaves_the_screen),
		cmocka_unit_test(rows_are_counted_after_a_resize),
		cmocka_unit_test(what_a_registry_says_cannot_move_the_cursor),
		cmocka_unit_test(a_pipe_gets_a_line_for_each_change_and_few_others),
		cmocka_unit_test(a_program_gets_json_lines),
		cmocka_unit_test(events_may_come_from_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
