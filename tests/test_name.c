#include "base/clock.h"
#include "base/limits.h"
#include "tests/store_box.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"

static int set(store_box *box, const char *name, const ol_digest *root)
{
	const ol_name_info info = {
		.name = name, .repo = "reg.example/app", .root = *root, .media_type = MANIFEST
	};

	return ol_name_set(box->store, &info, NULL);
}

struct rows {
	char text[1024]; /* "name=first 4 hex;" of each row */
	int count;
};

static int add_row(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct rows *rows = ctx;
	size_t used = strlen(rows->text);

	(void)err;
	CHECK_STR("repo", "reg.example/app", info->repo);
	CHECK_STR("type", MANIFEST, info->media_type);
	(void)snprintf(rows->text + used, sizeof rows->text - used, "%s=%.4s;", info->name,
		ol_digest_hex(&info->root).text);
	rows->count++;
	return OL_OK;
}

/* The store's rows are those of want, in which A, B and C stand for the roots. */
static void check_rows(store_box *box, const char *label, const char *want)
{
	struct rows rows = { 0 };
	char expanded[1024] = "";

	for (; *want; want++) {
		size_t used = strlen(expanded);
		char letter[2] = { *want, '\0' };
		ol_digest root = box_digest(letter);

		if (*want >= 'A' && *want <= 'C')
			(void)snprintf(expanded + used, sizeof expanded - used, "%.4s",
				ol_digest_hex(&root).text);
		else
			(void)snprintf(expanded + used, sizeof expanded - used, "%c", *want);
	}
	CHECK_INT(label, OL_OK, ol_name_each(box->store, add_row, &rows, NULL));
	CHECK_STR(label, expanded, rows.text);
}

static void names_move_and_leave_nameless_rows(void **state)
{
	store_box *box = *state;
	ol_digest a = box_blob(box->store, "A"), b = box_blob(box->store, "B");

	CHECK_INT("x=A", OL_OK, set(box, "x", &a));
	check_rows(box, "one", "x=A;");
	CHECK_INT("again", OL_OK, set(box, "x", &a));
	check_rows(box, "the same", "x=A;");
	CHECK_INT("y=A", OL_OK, set(box, "y", &a));
	CHECK_INT("x=B", OL_OK, set(box, "x", &b));
	check_rows(box, "A has y left", "x=B;y=A;");
	CHECK_INT("y=B", OL_OK, set(box, "y", &b));
	check_rows(box, "A has lost its last name", "x=B;y=B;=A;");
	CHECK_INT("z=A", OL_OK, set(box, "z", &a));
	check_rows(box, "A has a name again", "x=B;y=B;z=A;");
	CHECK_INT("nameless", OL_OK, set(box, "", &a));
	check_rows(box, "a named root needs no nameless row", "x=B;y=B;z=A;");
}

static void names_are_removed(void **state)
{
	store_box *box = *state;
	ol_digest a = box_blob(box->store, "A"), b = box_blob(box->store, "B");

	CHECK_INT("x", OL_OK, set(box, "x", &a));
	CHECK_INT("y", OL_OK, set(box, "y", &a));
	CHECK_INT("nameless", OL_OK, set(box, NULL, &b));
	CHECK_INT("nameless again", OL_OK, set(box, "", &b));
	check_rows(box, "all", "x=A;y=A;=B;");
	CHECK_INT("unknown", OL_ENOTFOUND, ol_name_remove(box->store, "z", true, NULL));
	CHECK_INT("x", OL_OK, ol_name_remove(box->store, "x", true, NULL));
	check_rows(box, "y is left", "y=A;=B;");
	CHECK_INT("y", OL_OK, ol_name_remove(box->store, "y", true, NULL));
	check_rows(box, "A is kept", "=B;=A;");
	CHECK_INT("root", OL_OK, ol_name_remove_root(box->store, &a, NULL));
	CHECK_INT("root twice", OL_ENOTFOUND, ol_name_remove_root(box->store, &a, NULL));
	CHECK_INT("x", OL_OK, set(box, "x", &b));
	CHECK_INT("x, not kept", OL_OK, ol_name_remove(box->store, "x", false, NULL));
	check_rows(box, "nothing", "");
}

static void get_gives_what_was_set(void **state)
{
	store_box *box = *state;
	const ol_name_info in = {
		.name = "reg.example/app:1",
		.repo = "reg.example/app",
		.root = box_digest("A"),
		.media_type = MANIFEST,
		.created = 1234,
		.listed = box_digest("B"),
		.listed_size = 77,
	};
	ol_name_info out = { 0 };

	CHECK_INT("set", OL_OK, ol_name_set(box->store, &in, NULL));
	CHECK_INT("get", OL_OK, ol_name_get(box->store, in.name, &out, NULL));
	CHECK_STR("name", in.name, out.name);
	CHECK_STR("repo", in.repo, out.repo);
	CHECK_INT("created", 1234, out.created);
	CHECK_INT("size", 77, (long long)out.listed_size);
	CHECK_STR("listed type", MANIFEST, out.listed_media_type);
	assert_true(ol_digest_eq(&in.listed, &out.listed));
	ol_name_info_done(&out);
	CHECK_INT("none", OL_ENOTFOUND, ol_name_get(box->store, "none", &out, NULL));
}

static void what_cannot_be_a_row_is_refused(void **state)
{
	store_box *box = *state;
	char long_name[500];
	const ol_name_info good = { .name = "x", .root = box_digest("A"), .media_type = MANIFEST };
	ol_name_info cases[] = { good, good, good, good, good };

	memset(long_name, 'a', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	cases[0].name = "new\nline";
	cases[1].name = long_name;
	cases[2].media_type = NULL;
	cases[3].media_type = "\x1b[2J";
	cases[4].root = (ol_digest){ 0 };
	OL_EACH (cases, c)
		CHECK_INT("set", OL_EINVAL, ol_name_set(box->store, c, NULL));
	check_rows(box, "nothing", "");
}

static void read_index(store_box *box, ol_buf *out)
{
	ol_buf_clear(out);
	CHECK_INT("read", OL_OK, ol_file_read(box->dir_fd, "root/index.json", true, out, NULL));
}

static void index_json_follows_the_names(void **state)
{
	store_box *box = *state;
	ol_digest a = box_blob(box->store, "A"), derived = box_blob(box->store, "derived");
	ol_auto_buf ol_buf text = OL_BUF(10000);
	const ol_name_info listed = {
		.name = "x\"\\",
		.root = a,
		.media_type = MANIFEST,
		.listed = derived,
		.listed_size = 7,
		.listed_media_type = "application/derived",
	};
	ol_digest gone = box_digest("never pulled");

	read_index(box, &text);
	CHECK_STR("empty",
		"{\"schemaVersion\":2,\"mediaType\":\"application/"
		"vnd.oci.image.index.v1+json\",\"manifests\":[]}\n",
		text.data);
	CHECK_INT("set", OL_OK, set(box, "reg.example/app:1", &a));
	CHECK_INT("set", OL_OK, set(box, "not-there", &gone));
	read_index(box, &text);
	assert_non_null(
		strstr(text.data, "\"org.opencontainers.image.ref.name\":\"reg.example/app:1\""));
	assert_non_null(strstr(text.data, "\"io.containerd.image.name\":\"reg.example/app:1\""));
	assert_non_null(strstr(text.data, ol_digest_format(&a).text));
	assert_non_null(strstr(text.data, "\"size\":1"));
	assert_null(strstr(text.data, ol_digest_format(&gone).text));
	CHECK_INT("listed", OL_OK, ol_name_set(box->store, &listed, NULL));
	read_index(box, &text);
	assert_non_null(strstr(text.data, "x\\\"\\\\"));
	assert_non_null(strstr(text.data, ol_digest_format(&derived).text));
	assert_non_null(strstr(text.data, "application/derived"));
	CHECK_INT("remove", OL_OK, ol_name_remove(box->store, listed.name, false, NULL));
	read_index(box, &text);
	assert_null(strstr(text.data, ol_digest_format(&derived).text));
}

/* A killed process may have had our pid: in a container's pid namespace that is the rule. */
static void leftovers_of_another_process_of_our_pid_do_no_harm(void **state)
{
	store_box *box = *state;
	ol_digest a = box_blob(box->store, "A");

	for (int i = 0; i < 500; i++) {
		char path[64];
		int fd;

		(void)snprintf(path, sizeof path, "root/.tmp-%d-%d", getpid(), i);
		fd = openat(box->dir_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		CHECK_INT("close", 0, close(fd));
	}
	CHECK_INT("set", OL_OK, set(box, "x", &a));
}

static void a_thousand_names_are_listed_at_once(void **state)
{
	store_box *box = *state;
	struct rows rows = { 0 };
	uint64_t start;

	box_sql(box,
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
		" INSERT INTO names(name, repo, root, media_type, created, listed, listed_size, "
		"listed_media_type)"
		" SELECT 'reg.example/app:' || i, 'reg.example/app', 'sha256:' || printf('%064x', "
		"i),"
		" 'application/vnd.oci.image.manifest.v1+json', 1, NULL, 0, '' FROM n");
	start = ol_now_ms();
	CHECK_INT("each", OL_OK, ol_name_each(box->store, add_row, &rows, NULL));
	CHECK_INT("count", 1000, rows.count);
	/* Meant to take under 5 ms; the bound leaves room for sanitizers and a busy machine. */
	assert_true(ol_now_ms() - start < 500);
}

static void set_work(store_box *box, ol_store *store)
{
	ol_digest a = box_blob(store, "A");
	const ol_name_info info = {
		.name = "x", .repo = "reg.example/app", .root = a, .media_type = MANIFEST
	};

	(void)box;
	(void)ol_name_set(store, &info, NULL);
}

/* Invariant 8: gc publishes what a killed process did not. */
static void killed_at_any_step_names_are_whole(void **state)
{
	store_box *box = *state;
	static const struct {
		const char *fault, *rows;
	} cases[] = {
		{ "store.name.commit:kill", "" },
		{ "store.name.committed:kill", "x=A;" },
		{ "store.index.publish:kill", "x=A;" },
	};
	ol_auto_buf ol_buf text = OL_BUF(10000);

	OL_EACH (cases, c) {
		const ol_check_options check = { .found = box_print_finding };
		uint64_t faults = 0;

		assert_true(box_killed_at(box, c->fault, set_work));
		check_rows(box, c->fault, c->rows);
		CHECK_INT(c->fault, OL_OK, ol_check(box->store, &check, &faults, NULL));
		CHECK_INT(c->fault, 0, (long long)faults);
		CHECK_INT(c->fault, OL_OK, ol_gc(box->store, NULL, &(ol_gc_result){ 0 }, NULL));
		read_index(box, &text);
		assert_int_equal(c->rows[0] != '\0', strstr(text.data, "ref.name\":\"x\"") != NULL);
		(void)ol_name_remove(box->store, "x", false, NULL);
	}
}

struct facts {
	int rows, pinned, imported;
	char summary[64];
};

static int add_facts(void *ctx, const ol_name_info *info, ol_error *err)
{
	struct facts *facts = ctx;

	(void)err;
	facts->rows++;
	facts->pinned += info->pinned;
	facts->imported += info->imported;
	(void)snprintf(facts->summary, sizeof facts->summary, "%s", info->summary);
	return OL_OK;
}

static void check_facts(store_box *box, const char *label, int pinned, int imported)
{
	struct facts facts = { 0 };

	CHECK_INT(label, OL_OK, ol_name_each(box->store, add_facts, &facts, NULL));
	CHECK_INT(label, pinned, facts.pinned);
	CHECK_INT(label, imported, facts.imported);
	CHECK_STR(label, "{\"id\":1}", facts.summary);
}

/* pinned, imported and summary belong to the root: a new row has what the others have, and changes
 * theirs. */
static void what_is_true_of_a_root_is_true_of_all_its_names(void **state)
{
	store_box *box = *state;
	ol_digest root = box_digest("root"), none = box_digest("none");
	ol_name_info info = { .name = "one",
		.root = root,
		.media_type = MANIFEST,
		.imported = true,
		.summary = "{\"id\":1}" };

	CHECK_INT("one", OL_OK, ol_name_set(box->store, &info, NULL));
	check_facts(box, "one", 0, 1);
	info = (ol_name_info){ .name = "two", .root = root, .media_type = MANIFEST };
	CHECK_INT("two", OL_OK, ol_name_set(box->store, &info, NULL));
	check_facts(box, "two", 0, 2);
	CHECK_INT("pin", OL_OK, ol_name_pin(box->store, &root, true, NULL));
	check_facts(box, "pin", 2, 2);
	info.name = "three";
	info.summary = "";
	CHECK_INT("three", OL_OK, ol_name_set(box->store, &info, NULL));
	check_facts(box, "three", 3, 3);
	CHECK_INT("unpin", OL_OK, ol_name_pin(box->store, &root, false, NULL));
	check_facts(box, "unpin", 0, 3);
	CHECK_INT("nobody", OL_ENOTFOUND, ol_name_pin(box->store, &none, true, NULL));
	/* The last name goes, and the nameless row keeps what is known. */
	CHECK_INT("remove", OL_OK, ol_name_remove(box->store, "one", true, NULL));
	CHECK_INT("remove", OL_OK, ol_name_remove(box->store, "two", true, NULL));
	CHECK_INT("remove", OL_OK, ol_name_remove(box->store, "three", true, NULL));
	check_facts(box, "nameless", 0, 1);
}

static void a_summary_is_plain_and_bounded(void **state)
{
	store_box *box = *state;
	char text[OL_SUMMARY_BYTES_MAX + 2];
	ol_name_info info = {
		.name = "x", .root = box_digest("root"), .media_type = MANIFEST, .summary = text
	};

	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	CHECK_INT("too long", OL_EINVAL, ol_name_set(box->store, &info, NULL));
	text[OL_SUMMARY_BYTES_MAX] = '\0';
	CHECK_INT("longest", OL_OK, ol_name_set(box->store, &info, NULL));
	text[1] = '\n';
	CHECK_INT("control", OL_EINVAL, ol_name_set(box->store, &info, NULL));
}

/* Another listing is every row's of the root; names and times stay. */
static void a_root_is_listed_anew(void **state)
{
	store_box *box = *state;
	const ol_digest root = box_digest("root"), other = box_digest("other");
	const ol_name_listing listed = { box_digest("derived"), 7, MANIFEST };
	ol_name_info got = { 0 };

	CHECK_INT("a", OL_OK,
		ol_name_set(box->store,
			&(ol_name_info){
				.name = "a", .root = root, .media_type = MANIFEST, .created = 5 },
			NULL));
	CHECK_INT("b", OL_OK,
		ol_name_set(box->store,
			&(ol_name_info){ .name = "b", .root = other, .media_type = MANIFEST },
			NULL));
	CHECK_INT("relist", OL_OK, ol_name_relist(box->store, &root, &listed, NULL));
	CHECK_INT("get", OL_OK, ol_name_get(box->store, "a", &got, NULL));
	assert_true(ol_digest_eq(&listed.digest, &got.listed));
	CHECK_INT("size", 7, (long long)got.listed_size);
	CHECK_INT("created", 5, got.created);
	ol_name_info_done(&got);
	CHECK_INT("get", OL_OK, ol_name_get(box->store, "b", &got, NULL));
	assert_false(ol_digest_eq(&listed.digest, &got.listed));
	ol_name_info_done(&got);
	CHECK_INT(
		"nobody", OL_ENOTFOUND, ol_name_relist(box->store, &listed.digest, &listed, NULL));
	CHECK_INT("no type", OL_EINVAL,
		ol_name_relist(
			box->store, &root, &(ol_name_listing){ listed.digest, 7, "a\nb" }, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOX_TEST(names_move_and_leave_nameless_rows),
		BOX_TEST(names_are_removed),
		BOX_TEST(get_gives_what_was_set),
		BOX_TEST(what_cannot_be_a_row_is_refused),
		BOX_TEST(index_json_follows_the_names),
		BOX_TEST(leftovers_of_another_process_of_our_pid_do_no_harm),
		BOX_TEST(a_thousand_names_are_listed_at_once),
		BOX_TEST(killed_at_any_step_names_are_whole),
		BOX_TEST(what_is_true_of_a_root_is_true_of_all_its_names),
		BOX_TEST(a_summary_is_plain_and_bounded),
		BOX_TEST(a_root_is_listed_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
