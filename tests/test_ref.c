#include "base/str.h"
#include "manifest/ref.h"
#include "tests/check.h"

#define HEX    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA256 "sha256:" HEX
#define SHA512                                                                                     \
	"sha512:"                                                                                  \
	"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2" \
	"877eec2f63"                                                                               \
	"b931bd47417a81a538327af927da3e"

/* Every spelling a user may type resolves to one canonical name, and to the one docker shows. */
static void a_reference_has_one_canonical_name(void **state)
{
	static const struct {
		const char *text, *canonical, *familiar;
	} cases[] = {
		{ "alpine", "docker.io/library/alpine:latest", "alpine:latest" },
		{ "alpine:3.19", "docker.io/library/alpine:3.19", "alpine:3.19" },
		{ "docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest" },
		{ "docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest" },
		{ "index.docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest" },
		{ "index.docker.io/user/app:1", "docker.io/user/app:1", "user/app:1" },
		{ "library/alpine", "docker.io/library/alpine:latest", "alpine:latest" },
		{ "library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest" },
		{ "user/app", "docker.io/user/app:latest", "user/app:latest" },
		{ "a/b/c", "docker.io/a/b/c:latest", "a/b/c:latest" },
		{ "reg.example/app:1.4", "reg.example/app:1.4", "reg.example/app:1.4" },
		{ "reg.example/library/app", "reg.example/library/app:latest",
			"reg.example/library/app:latest" },
		{ "127.0.0.1:5000/app", "127.0.0.1:5000/app:latest", "127.0.0.1:5000/app:latest" },
		{ "localhost/app", "localhost/app:latest", "localhost/app:latest" },
		{ "localhost:80/app:x", "localhost:80/app:x", "localhost:80/app:x" },
		{ "[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app:latest" },
		{ "[fe80:0:0:0:A:b:c:d]/app", "[fe80:0:0:0:A:b:c:d]/app:latest",
			"[fe80:0:0:0:A:b:c:d]/app:latest" },
		{ "UPPER/app", "UPPER/app:latest", "UPPER/app:latest" },
		{ "a-b.example/app", "a-b.example/app:latest", "a-b.example/app:latest" },
		{ "host:5000", "docker.io/library/host:5000", "host:5000" },
		{ "localhost", "docker.io/library/localhost:latest", "localhost:latest" },
		{ "a.b", "docker.io/library/a.b:latest", "a.b:latest" },
		{ "a_b/c__d/e-f/g---h/i.j", "docker.io/a_b/c__d/e-f/g---h/i.j:latest",
			"a_b/c__d/e-f/g---h/i.j:latest" },
		{ "app:_Tag.1-2", "docker.io/library/app:_Tag.1-2", "app:_Tag.1-2" },
		{ "app@" SHA256, "docker.io/library/app@" SHA256, "app@" SHA256 },
		{ "app:1@" SHA256, "docker.io/library/app:1@" SHA256, "app:1@" SHA256 },
		{ "r.example/app@" SHA512, "r.example/app@" SHA512, "r.example/app@" SHA512 },
		/* What could be read as something else keeps its domain. */
		{ "docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest" },
		{ "docker.io/localhost/c", "docker.io/localhost/c:latest",
			"docker.io/localhost/c:latest" },
		{ "docker.io/" HEX, "docker.io/library/" HEX ":latest", "library/" HEX ":latest" },
		{ "docker.io/library/a.b", "docker.io/library/a.b:latest", "a.b:latest" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_ref ref = { 0 }, again = { 0 };

		CHECK_INT(c->text, OL_OK, ol_ref_parse(c->text, &ref, NULL));
		CHECK_STR(c->text, c->canonical, ol_ref_format(&ref).text);
		CHECK_STR(c->text, c->familiar, ol_ref_format_familiar(&ref).text);
		CHECK_INT(c->text, OL_OK, ol_ref_parse(c->familiar, &again, NULL));
		CHECK_STR(c->text, c->canonical, ol_ref_format(&again).text);
	}
}

struct refusal {
	const char *text, *words;
	bool hint;
};

static void check_refusal(const struct refusal *c)
{
	ol_ref ref = { .tag = "untouched" };
	ol_error err = { 0 };

	CHECK_INT(c->text, OL_EINVAL, ol_ref_parse(c->text, &ref, &err));
	CHECK_STR(c->text, c->words, err.text);
	CHECK_INT(c->text, c->hint, err.hint[0] != '\0');
	CHECK_STR(c->text, "untouched", ref.tag);
}

static void what_is_not_a_name_is_refused_with_words(void **state)
{
	static const struct refusal cases[] = {
		{ "", "the name of an image is empty", false },
		{ "Alpine", "repository \"Alpine\" has upper-case letters", true },
		{ "reg.example/App", "repository \"App\" has upper-case letters", true },
		{ "user/App", "repository \"user/App\" has upper-case letters", true },
		{ HEX, "repository \"" HEX "\" is an image id", true },
		{ "https://reg.example/app", "a URL is not the name of an image", true },
		{ "http://reg.example/app", "a URL is not the name of an image", true },
		{ ":tag", "repository \"\" is not a name", false },
		{ "@" SHA256, "repository \"\" is not a name", false },
		{ "/app", "repository \"/app\" is not a name", false },
		{ "reg.example/", "repository \"\" is not a name", false },
		{ "reg.example//app", "repository \"/app\" is not a name", false },
		{ "app/", "repository \"app/\" is not a name", false },
		{ "a//b", "repository \"a//b\" is not a name", false },
		{ "../../etc/passwd", "registry \"..\" is not a host name with an optional port",
			false },
		{ "a/../b", "repository \"a/../b\" is not a name", false },
		{ "a/./b", "repository \"a/./b\" is not a name", false },
		{ ".a/b", "registry \".a\" is not a host name with an optional port", false },
		{ "-a/b", "repository \"-a/b\" is not a name", false },
		{ "a-/b", "repository \"a-/b\" is not a name", false },
		{ "a___b", "repository \"a___b\" is not a name", false },
		{ "a..b", "repository \"a..b\" is not a name", false },
		{ "a._b", "repository \"a._b\" is not a name", false },
		{ "a b", "repository \"a b\" is not a name", false },
		{ " app", "repository \" app\" is not a name", false },
		{ "app\n", "repository \"app\\x0a\" is not a name", false },
		{ "\x1b[2J", "repository \"\\x1b[2J\" has upper-case letters", true },
		{ "caf\xc3\xa9", "repository \"caf\xc3\xa9\" is not a name", false },
		{ "a%2fb", "repository \"a%2fb\" is not a name", false },
	};

	(void)state;
	OL_EACH (cases, c)
		check_refusal(c);
}

static void what_is_not_a_registry_tag_or_digest_is_refused_with_words(void **state)
{
	static const struct refusal cases[] = {
		{ "A_b/c", "registry \"A_b\" is not a host name with an optional port", false },
		{ "-a.example/b",
			"registry \"-a.example\" is not a host name with an optional port", false },
		{ "a-.example/b",
			"registry \"a-.example\" is not a host name with an optional port", false },
		{ "a..example/b",
			"registry \"a..example\" is not a host name with an optional port", false },
		{ "a.example./b",
			"registry \"a.example.\" is not a host name with an optional port", false },
		{ "a.example:/b",
			"registry \"a.example:\" is not a host name with an optional port", false },
		{ "a.example:x/b",
			"registry \"a.example:x\" is not a host name with an optional port",
			false },
		{ ":5000/b", "registry \":5000\" is not a host name with an optional port", false },
		{ "5000:/b", "registry \"5000:\" is not a host name with an optional port", false },
		{ "a.example:1:2/b",
			"registry \"a.example:1:2\" is not a host name with an optional port",
			false },
		{ "user@a.example/b", "digest \"a.example/b\" has no colon", false },
		{ "[::1/b", "registry \"[::1\" is not a host name with an optional port", false },
		{ "[::g]/b", "registry \"[::g]\" is not a host name with an optional port", false },
		{ "[]:1/b", "registry \"[]:1\" is not a host name with an optional port", false },
		{ "[::1]x/b", "registry \"[::1]x\" is not a host name with an optional port",
			false },
		{ "app:", "tag \"\" is not a tag", false },
		{ "app:.x", "tag \".x\" is not a tag", false },
		{ "app:-x", "tag \"-x\" is not a tag", false },
		{ "app:a:b", "tag \"a:b\" is not a tag", false },
		{ "app:a/b", "registry \"app:a\" is not a host name with an optional port", false },
		{ "a/app:a/b", "tag \"a/b\" is not a tag", false },
		{ "app:1+2", "tag \"1+2\" is not a tag", false },
		{ "app@", "digest \"\" has no colon", false },
		{ "app@sha256:abc", "digest \"sha256:abc\" is not 64 lower-case hex digits",
			false },
		{ "app@" SHA256 "@" SHA256, "digest \"" SHA256 "@" SHA256 "\" is not well formed",
			false },
		{ "app@sha256:../../x", "digest \"sha256:../../x\" is not well formed", false },
	};

	(void)state;
	OL_EACH (cases, c)
		check_refusal(c);
}

static void a_digest_that_cannot_be_verified_is_unsupported(void **state)
{
	ol_ref ref = { 0 };

	(void)state;
	CHECK_INT("blake3", OL_EUNSUPPORTED, ol_ref_parse("app@blake3:" HEX, &ref, NULL));
}

static int parse_sizes(size_t domain, size_t path, size_t tag)
{
	ol_auto_str ol_str text = OL_STR(4096);
	ol_ref ref = { 0 };

	if (domain) {
		ol_str_add(&text, "r.");
		for (size_t i = 2; i < domain; i++)
			ol_str_addc(&text, 'd');
		ol_str_addc(&text, '/');
	}
	for (size_t i = 0; i < path; i++)
		ol_str_addc(&text, 'p');
	if (tag)
		ol_str_addc(&text, ':');
	for (size_t i = 0; i < tag; i++)
		ol_str_addc(&text, 't');
	return ol_ref_parse(ol_str_text(&text), &ref, NULL);
}

static void lengths_have_bounds(void **state)
{
	static const struct {
		const char *label;
		size_t domain, path, tag;
		int rc;
	} cases[] = {
		{ "longest with domain", 100, 154, 0, OL_OK },
		{ "one more", 100, 155, 0, OL_EINVAL },
		{ "longest path", 3, 251, 128, OL_OK },
		{ "longest domain", 253, 1, 0, OL_OK },
		{ "one more", 254, 1, 0, OL_EINVAL },
		{ "docker.io/library/ counts", 0, 255 - 18, 0, OL_OK },
		{ "one more", 0, 255 - 17, 0, OL_EINVAL },
		{ "far more", 0, 4000, 0, OL_EINVAL },
		{ "longest tag", 0, 1, 128, OL_OK },
		{ "one more", 0, 1, 129, OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c)
		CHECK_INT(c->label, c->rc, parse_sizes(c->domain, c->path, c->tag));
}

static void a_name_leaves_out_tag_and_digest(void **state)
{
	ol_ref ref = { 0 };

	(void)state;
	CHECK_INT("parse", OL_OK, ol_ref_parse("alpine:3@" SHA256, &ref, NULL));
	CHECK_STR("name", "docker.io/library/alpine", ol_ref_name(&ref).text);
	CHECK_STR("familiar", "alpine", ol_ref_name_familiar(&ref).text);
	CHECK_STR("tag", "3", ref.tag);
	CHECK_STR("digest", SHA256, ol_digest_format(&ref.digest).text);
	CHECK_STR("domain", "docker.io", ref.domain);
	CHECK_STR("path", "library/alpine", ref.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reference_has_one_canonical_name),
		cmocka_unit_test(what_is_not_a_name_is_refused_with_words),
		cmocka_unit_test(what_is_not_a_registry_tag_or_digest_is_refused_with_words),
		cmocka_unit_test(a_digest_that_cannot_be_verified_is_unsupported),
		cmocka_unit_test(lengths_have_bounds),
		cmocka_unit_test(a_name_leaves_out_tag_and_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
