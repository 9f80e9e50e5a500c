#include "cmd/size.h"
#include "tests/check.h"

static void sizes_are_written_as_docker_writes_them(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} cases[] = {
		{ 0, "0B" },
		{ 1, "1B" },
		{ 999, "999B" },
		{ 1000, "1kB" },
		{ 1054, "1.05kB" },
		{ 7049688, "7.05MB" },
		{ 12345678, "12.3MB" },
		{ 132999999, "133MB" },
		{ 999400000, "999MB" },
		{ 999700000, "1GB" },
		{ 1231000000, "1.23GB" },
		{ UINT64_MAX, "18.4EB" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_size_text got = ol_size_format(c->bytes);

		CHECK_STR(c->want, c->want, got.text);
	}
}

static void sizes_are_read_as_docker_reads_them(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t want;
	} cases[] = {
		{ "1024", OL_OK, 1024 },
		{ "0", OL_OK, 0 },
		{ "32b", OL_OK, 32 },
		{ "64m", OL_OK, (uint64_t)64 << 20 },
		{ "64M", OL_OK, (uint64_t)64 << 20 },
		{ "64MB", OL_OK, (uint64_t)64 << 20 },
		{ "64MiB", OL_OK, (uint64_t)64 << 20 },
		{ "64 m", OL_OK, (uint64_t)64 << 20 },
		{ "1.5g", OL_OK, (uint64_t)3 << 29 },
		{ "1k", OL_OK, 1024 },
		{ "1t", OL_OK, (uint64_t)1 << 40 },
		{ "1p", OL_OK, (uint64_t)1 << 50 },
		{ "", OL_EINVAL, 0 },
		{ "m", OL_EINVAL, 0 },
		{ "-1", OL_EINVAL, 0 },
		{ "+1", OL_EINVAL, 0 },
		{ " 1", OL_EINVAL, 0 },
		{ "1x", OL_EINVAL, 0 },
		{ "1mm", OL_EINVAL, 0 },
		{ "1ib", OL_EINVAL, 0 },
		{ "1mib2", OL_EINVAL, 0 },
		{ "0x10", OL_EINVAL, 0 },
		{ "1e3", OL_EINVAL, 0 },
		{ "inf", OL_EINVAL, 0 },
		{ "nan", OL_EINVAL, 0 },
		{ "1.2.3", OL_EINVAL, 0 },
		{ "1.", OL_EINVAL, 0 },
		{ ".", OL_EINVAL, 0 },
		{ "99999999999999999999p", OL_EINVAL, 0 },
		{ "8192p", OL_EINVAL, 0 },
	};

	(void)state;
	OL_EACH (cases, c) {
		uint64_t got = 0;

		CHECK_INT(c->text, c->rc, ol_size_parse(c->text, &got, NULL));
		CHECK_INT(c->text, (long long)c->want, (long long)got);
	}
}

static void seconds_are_short(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *want;
	} cases[] = {
		{ 0, "0s" },
		{ 59, "59s" },
		{ 65, "1m05s" },
		{ 7800, "2h10m" },
		{ UINT64_MAX, ">4 days" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_size_text got = ol_seconds_format(c->seconds);

		CHECK_STR(c->want, c->want, got.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_written_as_docker_writes_them),
		cmocka_unit_test(sizes_are_read_as_docker_reads_them),
		cmocka_unit_test(seconds_are_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
