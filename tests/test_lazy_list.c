/* `ps --lazy`'s rows (image/lazy_list.c). */
#include "base/event.h"
#include "image/lazy.h"
#include "image/lazy_source_priv.h"
#include "image/session_priv.h"
#include "snapshot/lazy_table.h"
#include "store/lazy.h"
#include "tests/store_box.h"

struct seen {
	unsigned rows, warnings;
	char image[64], format[16];
	uint64_t present;
};

static int on_row(void *ctx, const ol_lazy_row *row, ol_error *err)
{
	struct seen *seen = ctx;

	(void)err;
	seen->rows++;
	(void)snprintf(seen->image, sizeof seen->image, "%.63s", row->image);
	(void)snprintf(seen->format, sizeof seen->format, "%.15s", row->format);
	seen->present = row->counters->blob_bytes;
	CHECK_STR("nobody serves", "", row->engine);
	CHECK_STR("nothing is wrong", "", row->words);
	return OL_OK;
}

static void on_event(void *ctx, const ol_event *event)
{
	struct seen *seen = ctx;

	seen->warnings += event->kind == OL_EVENT_WARNING;
}

static void put_row(store_box *box, const char *name, const char *driver)
{
	CHECK_INT(name, OL_OK, box_layer_of(driver, box, box->store, name, name, NULL));
}

/* The layer's folder, with the files that are asked for. */
static void put_folder(store_box *box, const char *name, bool source)
{
	const ol_digest diff_id = box_digest(name);
	ol_lazy_table table = { .about = { .blob = box_digest("blob"),
					.diff_id = diff_id,
					.blob_size = 1000,
					.layout = OL_LAZY_TAR,
					.format = "soci" } };
	ol_lazy_source from = { .manifest = box_digest("manifest"),
		.blob = box_digest("blob"),
		.blob_size = 1000,
		.retries = -1 };

	CHECK_INT("ref", OL_OK, ol_ref_parse("reg.example/app:1", &from.ref, NULL));
	CHECK_INT("seek", OL_OK, ol_lazy_table_write(&table, box->dir_fd, NULL));
	ol_lazy_table_done(&table);
	if (source)
		CHECK_INT("source", OL_OK,
			ol_lazy_source_write(box->store, box->dir_fd, &diff_id, &from, NULL));
	CHECK_INT("folder", OL_OK, ol_lazy_put(box->store, &diff_id, box->dir_fd, NULL));
}

static struct seen look(store_box *box)
{
	struct seen seen = { 0 };
	ol_session session = { .store = box->store,
		.options = { .listener = { .call = on_event, .ctx = &seen } } };

	CHECK_INT("each", OL_OK, ol_lazy_each(&session, on_row, &seen, NULL));
	return seen;
}

static void a_layer_is_listed_as_long_as_it_is_lazy(void **state)
{
	store_box *box = *state;
	struct seen seen;

	put_row(box, "whole", "erofs");
	put_row(box, "layer", OL_LAZY_DRIVER);
	put_folder(box, "layer", true);
	seen = look(box);
	assert_int_equal(1, seen.rows);
	CHECK_STR("image", "reg.example/app:1", seen.image);
	CHECK_STR("format", "soci", seen.format);
	assert_int_equal(0, seen.present);
	put_row(box, "layer", "erofs");
	assert_int_equal(0, look(box).rows);
}

/* What has just become whole, or goes, is passed over; what is damaged is told of. */
static void a_layer_without_all_of_its_folder(void **state)
{
	store_box *box = *state;
	ol_digest diff_id = box_digest("layer");
	struct seen seen;
	char path[256];

	put_row(box, "layer", OL_LAZY_DRIVER);
	assert_int_equal(0, look(box).rows);
	put_folder(box, "layer", false);
	assert_int_equal(0, look(box).rows);
	(void)snprintf(
		path, sizeof path, "root/lazy/%s/" OL_LAZY_SEEK, ol_digest_hex(&diff_id).text);
	box_file(box, path, "no table");
	seen = look(box);
	assert_int_equal(1, seen.rows);
	assert_int_equal(1, seen.warnings);
	CHECK_STR("image", "", seen.image);
	CHECK_STR("format", "", seen.format);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(a_layer_is_listed_as_long_as_it_is_lazy),
		BOX_TEST(a_layer_without_all_of_its_folder),
	};

	return cmocka_run_group_tests_name("lazy_list", tests, NULL, NULL);
}
