#include "base/alloc.h"
#include "image/lazy_source_priv.h"
#include "tests/store_box.h"

#define ZEROS  "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define SOURCE "\"version\":1,\"ref\":\"reg.example/app:1\",\"blob\":\"" ZEROS "\",\"size\":7"

static ol_lazy_source example(void)
{
	ol_lazy_source source = { .blob_size = 1 << 20,
		.media_type = ol_strdup("application/vnd.oci.image.layer.v1.tar+gzip"),
		.plain_http = true,
		.http_first = true,
		.skip_tls_verify = true,
		.cert_dir = ol_strdup("/etc/certs"),
		.authfile = ol_strdup("relative/auth.json"),
		.creds = ol_strdup("ann:s3cret"),
		.retries = -1,
		.no_fill = true,
		.rate_bytes = 1 << 20,
		.timeout_ms = 30000,
		.engine = ol_strdup("fuse") };

	assert_int_equal(OL_OK, ol_ref_parse("127.0.0.1:5000/app:1.4", &source.ref, NULL));
	source.blob = ol_digest_of(OL_SHA256, "blob", 4);
	source.manifest = ol_digest_of(OL_SHA256, "manifest", 8);
	return source;
}

static void what_is_written_is_read(void **state)
{
	store_box *box = *state;
	ol_digest diff_id = ol_digest_of(OL_SHA256, "tar", 3);
	ol_lazy_source source = example(), back = { 0 };
	ol_auto_buf ol_buf text = OL_BUF(4096);
	ol_autofree char *here = getcwd(NULL, 0);
	ol_autofree char *authfile = ol_text("%s/relative/auth.json", here);

	CHECK_INT("write", OL_OK,
		ol_lazy_source_write(box->store, box->dir_fd, &diff_id, &source, NULL));
	CHECK_INT(
		"read", OL_OK, ol_lazy_source_read(box->store, box->dir_fd, &diff_id, &back, NULL));
	CHECK_STR("ref", "127.0.0.1:5000/app:1.4", ol_ref_format(&back.ref).text);
	assert_true(ol_digest_eq(&source.blob, &back.blob));
	assert_true(ol_digest_eq(&source.manifest, &back.manifest));
	CHECK_INT("size", 1 << 20, (long long)back.blob_size);
	CHECK_STR("type", source.media_type, back.media_type);
	CHECK_STR("certs", "/etc/certs", back.cert_dir);
	CHECK_STR("authfile", authfile, back.authfile);
	CHECK_STR("creds", "ann:s3cret", back.creds);
	CHECK_STR("engine", "fuse", back.engine);
	assert_null(back.hosts_dir);
	assert_true(back.plain_http && back.http_first && back.skip_tls_verify && back.no_fill);
	CHECK_INT("retries", -1, back.retries);
	CHECK_INT("rate", 1 << 20, (long long)back.rate_bytes);
	CHECK_INT("timeout", 30000, (long long)back.timeout_ms);
	ol_lazy_source_done(&back);

	/* The secret is not in what stays on disk, and goes when it is not given any more. */
	CHECK_INT("file", OL_OK, ol_file_read(box->dir_fd, "source", true, &text, NULL));
	assert_null(strstr(ol_str_text(&text), "s3cret"));
	free(source.creds);
	source.creds = NULL;
	CHECK_INT("again", OL_OK,
		ol_lazy_source_write(box->store, box->dir_fd, &diff_id, &source, NULL));
	CHECK_INT(
		"read", OL_OK, ol_lazy_source_read(box->store, box->dir_fd, &diff_id, &back, NULL));
	assert_null(back.creds);
	ol_lazy_source_done(&back);
	ol_lazy_source_done(&source);
}

static void the_secret_is_nobody_elses(void **state)
{
	store_box *box = *state;
	ol_digest diff_id = ol_digest_of(OL_SHA256, "tar", 3);
	ol_lazy_source source = example();
	ol_autofree char *name = ol_text("lazy/%s.creds", ol_digest_hex(&diff_id).text);
	struct stat st;

	CHECK_INT("write", OL_OK,
		ol_lazy_source_write(box->store, box->dir_fd, &diff_id, &source, NULL));
	ol_lazy_source_done(&source);
	assert_int_equal(0, fstatat(ol_store_run_fd(box->store), name, &st, 0));
	assert_int_equal(0600, st.st_mode & 07777);
}

static void what_is_not_ours_is_refused(void **state)
{
	static const struct {
		const char *label, *text;
		int rc;
	} cases[] = {
		{ "the least", "{" SOURCE "}", OL_OK },
		{ "what later versions add", "{" SOURCE ",\"more\":[1]}", OL_OK },
		{ "nothing", "", OL_ECORRUPT },
		{ "no object", "[]", OL_ECORRUPT },
		{ "cut", "{" SOURCE, OL_ECORRUPT },
		{ "another version", "{" SOURCE ",\"version\":2}", OL_ECORRUPT },
		{ "version 2", "{\"version\":2,\"ref\":\"a\",\"blob\":\"" ZEROS "\",\"size\":7}",
			OL_ECORRUPT },
		{ "no version", "{\"ref\":\"a\",\"blob\":\"" ZEROS "\",\"size\":7}", OL_ECORRUPT },
		{ "no reference", "{\"version\":1,\"blob\":\"" ZEROS "\",\"size\":7}",
			OL_ECORRUPT },
		{ "a reference that is none",
			"{\"version\":1,\"ref\":\"A B\",\"blob\":\"" ZEROS "\",\"size\":7}",
			OL_ECORRUPT },
		{ "no blob", "{\"version\":1,\"ref\":\"a\",\"size\":7}", OL_ECORRUPT },
		{ "a digest that is none",
			"{\"version\":1,\"ref\":\"a\",\"blob\":\"sha256:0\",\"size\":7}",
			OL_ECORRUPT },
		{ "no size", "{\"version\":1,\"ref\":\"a\",\"blob\":\"" ZEROS "\"}", OL_ECORRUPT },
		{ "a size below zero",
			"{\"version\":1,\"ref\":\"a\",\"blob\":\"" ZEROS "\",\"size\":-1}",
			OL_ECORRUPT },
		{ "a size past all",
			"{\"version\":1,\"ref\":\"a\",\"blob\":\"" ZEROS
			"\",\"size\":9000000000000000000}",
			OL_ECORRUPT },
		{ "a size in text",
			"{\"version\":1,\"ref\":\"a\",\"blob\":\"" ZEROS "\",\"size\":\"7\"}",
			OL_ECORRUPT },
		{ "retries below -1", "{" SOURCE ",\"retries\":-2}", OL_ECORRUPT },
		{ "too many retries", "{" SOURCE ",\"retries\":1000000}", OL_ECORRUPT },
		{ "a rate below zero", "{" SOURCE ",\"rate\":-1}", OL_ECORRUPT },
		{ "a time below zero", "{" SOURCE ",\"timeoutMs\":-5}", OL_ECORRUPT },
		{ "a path that depends on where one is", "{" SOURCE ",\"certDir\":\"certs\"}",
			OL_ECORRUPT },
		{ "a flag in text", "{" SOURCE ",\"plainHttp\":\"true\"}", OL_ECORRUPT },
		{ "a manifest that is none", "{" SOURCE ",\"manifest\":\"x\"}", OL_ECORRUPT },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_lazy_source source = { 0 };

		CHECK_INT(
			c->label, c->rc, ol_lazy_source_parse(ol_view_of(c->text), &source, NULL));
		ol_lazy_source_done(&source);
	}
}

static void what_is_too_long_is_refused(void **state)
{
	ol_auto_buf ol_buf text = OL_BUF(OL_LAZY_SOURCE_BYTES_MAX + 100);
	ol_lazy_source source = { 0 };

	(void)state;
	(void)ol_str_add(&text, "{" SOURCE "}");
	while (text.size <= OL_LAZY_SOURCE_BYTES_MAX)
		(void)ol_str_addc(&text, ' ');
	assert_int_equal(OL_ELIMIT, ol_lazy_source_parse(ol_buf_view(&text), &source, NULL));
}

static void nothing_there_is_not_found(void **state)
{
	store_box *box = *state;
	ol_digest diff_id = ol_digest_of(OL_SHA256, "other", 5);
	ol_lazy_source source = { 0 };

	assert_int_equal(OL_ENOTFOUND,
		ol_lazy_source_read(box->store, box->dir_fd, &diff_id, &source, NULL));
}

#define IN_BOX(test) cmocka_unit_test_setup_teardown(test, box_setup, box_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_BOX(what_is_written_is_read),
		IN_BOX(the_secret_is_nobody_elses),
		cmocka_unit_test(what_is_not_ours_is_refused),
		cmocka_unit_test(what_is_too_long_is_refused),
		IN_BOX(nothing_there_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
