#include "image/mend_priv.h"
#include "image/session_priv.h"
#include "manifest/json.h"
#include "tests/store_box.h"

#define DIGEST "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" /* "x" */
#define TYPE   "application/vnd.oci.image.manifest.v1+json"
#define ENTRY(size, annotations)                                                                   \
	"{\"mediaType\":\"" TYPE "\",\"digest\":\"" DIGEST "\",\"size\":" size                     \
	",\"annotations\":{" annotations "}}"
#define ROOT "\"dev.orlop.root\":\"" DIGEST "\",\"dev.orlop.media-type\":\"" TYPE "\""

/* Only what the store wrote is taken; what ties lines together is not part of them. */
static void a_line_is_a_row_of_names_or_nothing(void **state)
{
	static const struct {
		const char *label, *line;
		int rc;
		int64_t created;
		const char *name;
	} cases[] = {
		{ "nameless", ENTRY("1", ROOT), OL_OK, 0, "" },
		{ "in the middle", ENTRY("1", ROOT) ",", OL_OK, 0, "" },
		{ "last", ENTRY("1", ROOT) "]}", OL_OK, 0, "" },
		{ "named",
			ENTRY("1", ROOT ",\"org.opencontainers.image.ref.name\":\"a/b:1\","
					"\"dev.orlop.created\":\"17\""),
			OL_OK, 17, "a/b:1" },
		{ "time that is none", ENTRY("1", ROOT ",\"dev.orlop.created\":\"17x\""), OL_OK, 0,
			"" },
		{ "head", "{\"schemaVersion\":2,\"manifests\":[", OL_EINVAL, 0, NULL },
		{ "end", "]}", OL_EINVAL, 0, NULL },
		{ "empty", "", OL_EINVAL, 0, NULL },
		{ "another tool's", ENTRY("1", "\"x\":\"y\""), OL_EINVAL, 0, NULL },
		{ "no digest", "{\"mediaType\":\"m\",\"size\":1,\"annotations\":{" ROOT "}}",
			OL_EINVAL, 0, NULL },
		{ "root that is none",
			ENTRY("1",
				"\"dev.orlop.root\":\"sha256:1\",\"dev.orlop.media-type\":\"m\""),
			OL_EINVAL, 0, NULL },
		{ "negative", ENTRY("-1", ROOT), OL_EINVAL, 0, NULL },
		{ "size of text", ENTRY("\"1\"", ROOT), OL_EINVAL, 0, NULL },
		{ "too large", ENTRY("99999999999999999", ROOT), OL_EINVAL, 0, NULL },
		{ "a list", "[]", OL_EINVAL, 0, NULL },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_json *json = NULL;
		ol_name_info info = { 0 };

		CHECK_INT(c->label, c->rc, ol_relist_line(ol_view_of(c->line), &json, &info, NULL));
		if (c->rc == OL_OK) {
			CHECK_INT(c->label, c->created, info.created);
			CHECK_STR(c->label, c->name, info.name);
		}
		ol_json_free(json);
	}
}

/* What the store writes is what is read: every column that index.json can bring back. */
static void what_was_listed_comes_back(void **state)
{
	store_box *box = *state;
	ol_digest root = box_blob(box->store, "index"), listed = box_blob(box->store, "manifest");
	const ol_name_info rows[] = {
		{ .name = "reg.example/app:1",
			.repo = "reg.example/app",
			.root = root,
			.media_type = "application/vnd.oci.image.index.v1+json",
			.created = 1700000000,
			.listed = listed,
			.listed_size = 8,
			.listed_media_type = TYPE,
			.imported = true,
			.pinned = true },
		{ .name = "", .root = listed, .media_type = TYPE, .created = 1700000001 },
	};
	ol_session session = { .store = box->store };
	ol_name_info got = { 0 };
	const ol_mender mender = { 0 };

	OL_EACH (rows, row)
		CHECK_INT(row->name, OL_OK, ol_name_set(box->store, row, NULL));
	/* As a repair does: rows go, and the file stays until all is made again. */
	box_sql(box, "DELETE FROM names; INSERT INTO store(key, value) VALUES('rebuild', 1)");
	CHECK_INT("relist", OL_OK, ol_names_relist(&session, &mender, NULL));
	CHECK_INT("name", OL_OK, ol_name_get(box->store, "reg.example/app:1", &got, NULL));
	CHECK_STR("repo", "reg.example/app", got.repo);
	CHECK_INT("root", 1, ol_digest_eq(&root, &got.root));
	CHECK_STR("media type", rows[0].media_type, got.media_type);
	CHECK_INT("listed", 1, ol_digest_eq(&listed, &got.listed));
	CHECK_INT("listed size", 8, (long long)got.listed_size);
	CHECK_STR("listed media type", TYPE, got.listed_media_type);
	CHECK_INT("created", 1700000000, got.created);
	assert_true(got.pinned && got.imported);
	ol_name_info_done(&got);
	{
		ol_auto_db ol_db *db = ol_db_reader(box->store);
		int64_t count = 0;

		CHECK_INT("nameless", OL_OK,
			ol_db_number(db, NULL, &count,
				"SELECT count(*) FROM names WHERE name IS NULL AND created = "
				"1700000001",
				""));
		CHECK_INT("nameless", 1, count);
	}
}

/* One line that cannot be read loses its own image alone. */
static void a_damaged_line_loses_itself_alone(void **state)
{
	store_box *box = *state;
	ol_session session = { .store = box->store };
	ol_auto_buf ol_buf text = OL_BUF(65536);
	char path[256];
	ol_name_info got = { 0 };
	const ol_mender mender = { 0 };

	for (int i = 0; i < 3; i++) {
		char name[16];
		const ol_name_info row = {
			.name = name, .root = box_blob(box->store, "manifest"), .media_type = TYPE
		};

		(void)snprintf(name, sizeof name, "app:%d", i);
		CHECK_INT(name, OL_OK, ol_name_set(box->store, &row, NULL));
	}
	(void)snprintf(path, sizeof path, "%s/index.json", box->root);
	CHECK_INT("read", OL_OK, ol_file_read(AT_FDCWD, path, true, &text, NULL));
	strstr(text.data, "app:1")[-1] = '\0';
	CHECK_INT("write", OL_OK,
		ol_publish(AT_FDCWD, path, ol_buf_view(&text), 0644, OL_PUBLISH_REPLACE, NULL));
	box_sql(box, "DELETE FROM names; INSERT INTO store(key, value) VALUES('rebuild', 1)");
	CHECK_INT("relist", OL_OK, ol_names_relist(&session, &mender, NULL));
	for (int i = 0; i < 3; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "app:%d", i);
		CHECK_INT(name, i == 1 ? OL_ENOTFOUND : OL_OK,
			ol_name_get(box->store, name, &got, NULL));
		ol_name_info_done(&got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_a_row_of_names_or_nothing),
		BOX_TEST(what_was_listed_comes_back),
		BOX_TEST(a_damaged_line_loses_itself_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
