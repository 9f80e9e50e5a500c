#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "manifest/platform.h"
#include "tests/check.h"

/* What a user types is one normalised platform; format and parse then round-trip. */
static void a_platform_has_one_spelling(void **state)
{
	static const struct {
		const char *text, *normal;
	} cases[] = {
		{ "linux/amd64", "linux/amd64" },
		{ "linux/amd64/v1", "linux/amd64" },
		{ "linux/amd64/v3", "linux/amd64/v3" },
		{ "Linux/X86_64", "linux/amd64" },
		{ "linux/x86-64/v2", "linux/amd64/v2" },
		{ "linux/i386", "linux/386" },
		{ "linux/aarch64", "linux/arm64" },
		{ "linux/arm64/v8", "linux/arm64" },
		{ "linux/arm64/8", "linux/arm64" },
		{ "linux/arm64/v8.0", "linux/arm64" },
		{ "linux/arm64/v8.2", "linux/arm64/v8.2" },
		{ "linux/arm64/9.0", "linux/arm64/v9" },
		{ "linux/arm64/9", "linux/arm64/v9" },
		{ "linux/arm", "linux/arm/v7" },
		{ "linux/arm/7", "linux/arm/v7" },
		{ "linux/arm/6", "linux/arm/v6" },
		{ "linux/arm/v5", "linux/arm/v5" },
		{ "linux/armhf", "linux/arm/v7" },
		{ "linux/armel", "linux/arm/v6" },
		{ "macos/arm64", "darwin/arm64" },
		{ "windows/amd64", "windows/amd64" },
		{ "linux/riscv64", "linux/riscv64" },
		{ "some-os/some_arch", "some-os/some_arch" },
		{ "arm64", "linux/arm64" },
		{ "amd64", "linux/amd64" },
		{ "x86_64", "linux/amd64" },
		{ "armhf", "linux/arm/v7" },
		{ "s390x", "linux/s390x" },
		{ "unknown/unknown", "unknown/unknown" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_platform platform = { 0 }, again = { 0 };

		CHECK_INT(c->text, OL_OK, ol_platform_parse(c->text, &platform, NULL));
		CHECK_STR(c->text, c->normal, ol_platform_format(&platform).text);
		CHECK_INT(c->text, OL_OK, ol_platform_parse(c->normal, &again, NULL));
		CHECK_INT(c->text, 0, memcmp(&platform, &again, sizeof again));
	}
}

static void what_is_not_a_platform_is_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "", "platform \"\" has a part that is not a name" },
		{ "/", "platform \"/\" has a part that is not a name" },
		{ "linux/", "platform \"linux/\" has a part that is not a name" },
		{ "/amd64", "platform \"/amd64\" has a part that is not a name" },
		{ "linux//v7", "platform \"linux//v7\" has a part that is not a name" },
		{ "linux/arm/v7/x", "platform \"linux/arm/v7/x\" has more than three parts" },
		{ "linux/arm/v7/", "platform \"linux/arm/v7/\" has more than three parts" },
		{ "linux amd64", "platform \"linux amd64\" has a part that is not a name" },
		{ "linux/amd64\n", "platform \"linux/amd64\\x0a\" has a part that is not a name" },
		{ "*", "platform \"*\" has a part that is not a name" },
		{ "toaster",
			"platform \"toaster\" is neither an operating system nor an architecture" },
		{ "v8", "platform \"v8\" is neither an operating system nor an architecture" },
		{ "linux/abcdefghijklmnopqrstuvwxyz0123456789",
			"platform \"linux/abcdefghijklmnopqrstuvwxyz0123456789\" has a part that "
			"is too long" },
		{ "linux/arm/abcdefghijklmnop",
			"platform \"linux/arm/abcdefghijklmnop\" has a part that is too long" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_platform platform = { .os = "untouched" };
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_EINVAL, ol_platform_parse(c->text, &platform, &err));
		CHECK_STR(c->text, c->words, err.text);
		CHECK_STR(c->text, "untouched", platform.os);
		CHECK_INT(c->text, 1, err.hint[0] != '\0');
	}
}

static void fallbacks_come_in_order(void **state)
{
	static const struct {
		const char *want, *have;
		int rank;
	} cases[] = {
		{ "linux/amd64", "linux/amd64", 0 },
		{ "linux/amd64", "linux/amd64/v1", 0 },
		{ "linux/amd64", "linux/386", 1 },
		{ "linux/amd64", "linux/amd64/v2", -1 },
		{ "linux/amd64", "linux/arm64", -1 },
		{ "linux/amd64", "windows/amd64", -1 },
		{ "linux/amd64/v4", "linux/amd64/v4", 0 },
		{ "linux/amd64/v4", "linux/amd64/v3", 1 },
		{ "linux/amd64/v4", "linux/amd64/v2", 2 },
		{ "linux/amd64/v4", "linux/amd64", 3 },
		{ "linux/amd64/v4", "linux/386", 4 },
		{ "linux/amd64/v2", "linux/amd64/v3", -1 },
		{ "linux/386", "linux/amd64", -1 },
		{ "linux/386", "linux/386", 0 },
		{ "linux/amd64/odd", "linux/amd64/odd", 0 },
		{ "linux/amd64/odd", "linux/amd64", -1 },
		{ "linux/arm", "linux/arm/v7", 0 },
		{ "linux/arm", "linux/arm/v6", 1 },
		{ "linux/arm", "linux/arm/v5", 2 },
		{ "linux/arm", "linux/arm/v8", -1 },
		{ "linux/arm/v8", "linux/arm/v5", 3 },
		{ "linux/arm/v5", "linux/arm/v5", 0 },
		{ "linux/arm/v5", "linux/arm/v6", -1 },
		{ "linux/arm64", "linux/arm64/v8", 0 },
		{ "linux/arm64", "linux/arm/v8", 1 },
		{ "linux/arm64", "linux/arm/v7", 2 },
		{ "linux/arm64", "linux/arm/v5", 4 },
		{ "linux/arm64", "linux/arm64/v9", -1 },
		{ "linux/arm64/v8.2", "linux/arm64/v8.1", 1 },
		{ "linux/arm64/v8.2", "linux/arm64", 2 },
		{ "linux/arm64/v8.2", "linux/arm/v8", 3 },
		{ "linux/arm64/v9", "linux/arm64/v8.6", -1 },
		{ "linux/arm64/v9", "linux/arm64/v8.5", 1 },
		{ "linux/arm64/v9", "linux/arm64", 6 },
		{ "linux/arm64/v9.2", "linux/arm64/v9.1", 1 },
		{ "linux/arm64/v9.2", "linux/arm64/v9", 2 },
		{ "linux/arm64/v9.2", "linux/arm64/v8.7", 3 },
		{ "linux/arm64/v9.9", "linux/arm64/v8.9", 10 },
		{ "linux/arm64/v9.9", "linux/arm/v5", 23 },
		{ "linux/arm64/odd", "linux/arm64", -1 },
		{ "linux/riscv64", "linux/riscv64", 0 },
		{ "linux/s390x", "linux/amd64", -1 },
		{ "linux/amd64", "unknown/unknown", -1 },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_platform want = { 0 }, have = { 0 };
		ol_autofree char *label = ol_text("%s on %s", c->have, c->want);

		CHECK_INT(label, OL_OK, ol_platform_parse(c->want, &want, NULL));
		CHECK_INT(label, OL_OK, ol_platform_parse(c->have, &have, NULL));
		CHECK_INT(label, c->rank, ol_platform_match(&want, &have));
	}
}

static void the_os_version_counts_where_both_say_it(void **state)
{
	ol_platform want = { .os = "windows",
		.architecture = "amd64",
		.os_version = "10.0.17763.1" },
		    have = want;

	(void)state;
	CHECK_INT("same", 0, ol_platform_match(&want, &have));
	have.os_version[0] = '\0';
	CHECK_INT("not said", 0, ol_platform_match(&want, &have));
	have.os_version[0] = '9';
	CHECK_INT("other", -1, ol_platform_match(&want, &have));
}

/* What an index does not say is no match, and is not filled in from the host. */
static void an_empty_platform_matches_nothing(void **state)
{
	ol_platform none = { 0 }, host = ol_platform_host();

	(void)state;
	ol_platform_normalise(&none);
	CHECK_STR("os", "", none.os);
	CHECK_STR("text", "unknown/unknown", ol_platform_format(&none).text);
	CHECK_INT("match", -1, ol_platform_match(&host, &none));
	CHECK_INT("match", -1, ol_platform_match(&none, &none));
	CHECK_INT("unknown", 0, ol_platform_is_unknown(&none));
	CHECK_INT("parse", OL_OK, ol_platform_parse("unknown/unknown", &none, NULL));
	CHECK_INT("unknown", 1, ol_platform_is_unknown(&none));
}

#ifdef __x86_64__
/* Whether the kernel lists every one of the words among the processor's flags. */
static bool has_flags(const char *flags, const char *words)
{
	while (*words) {
		ol_autofree char *word = ol_text(" %.*s ", (int)strcspn(words, " "), words);

		if (!strstr(flags, word))
			return false;
		words += strlen(word) - 2;
		words += *words == ' ';
	}
	return true;
}
#endif

static void the_host_is_what_the_kernel_says(void **state)
{
	ol_platform host = ol_platform_host(), plain = host;

	(void)state;
	CHECK_STR("os", "linux", host.os);
	CHECK_INT("itself", 0, ol_platform_match(&host, &host));
	CHECK_INT("named", 1, host.architecture[0] != '\0');
#ifdef __x86_64__
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[8192] = "";
	const char *want = "", *preload = getenv("LD_PRELOAD");

	assert_non_null(file);
	while (fgets(line, sizeof line, file) && strncmp(line, "flags", 5) != 0)
		continue;
	(void)fclose(file);
	line[strcspn(line, "\n")] = ' ';
	if (preload && strstr(preload, "vgpreload")) {
		print_message(
			"valgrind has a processor of its own: not compared with the kernel's\n");
		skip();
	}
	if (has_flags(line, "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"))
		want = "v2";
	if (want[0] && has_flags(line, "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"))
		want = "v3";
	if (strcmp(want, "v3") == 0 &&
		has_flags(line, "avx512f avx512bw avx512cd avx512dq avx512vl"))
		want = "v4";
	CHECK_STR("architecture", "amd64", host.architecture);
	CHECK_STR("variant", want, host.variant);
#endif
	plain.variant[0] = '\0';
	ol_platform_normalise(&plain);
	CHECK_INT("common images run", 1, ol_platform_match(&host, &plain) >= 0);
}

static void one_word_leaves_the_rest_to_the_host(void **state)
{
	ol_platform host = ol_platform_host(), platform = { 0 };

	(void)state;
	CHECK_INT("linux", OL_OK, ol_platform_parse("linux", &platform, NULL));
	CHECK_INT("linux", 0, memcmp(&host, &platform, sizeof host));
	CHECK_INT("windows", OL_OK, ol_platform_parse("windows", &platform, NULL));
	CHECK_STR("windows", "windows", platform.os);
	CHECK_STR("windows", host.architecture, platform.architecture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_platform_has_one_spelling),
		cmocka_unit_test(what_is_not_a_platform_is_refused),
		cmocka_unit_test(fallbacks_come_in_order),
		cmocka_unit_test(the_os_version_counts_where_both_say_it),
		cmocka_unit_test(an_empty_platform_matches_nothing),
		cmocka_unit_test(the_host_is_what_the_kernel_says),
		cmocka_unit_test(one_word_leaves_the_rest_to_the_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
