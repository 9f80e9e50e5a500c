#include "base/digest.h"
#include "tests/check.h"

#define EMPTY256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define EMPTY512                                                                                   \
	"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2" \
	"877eec2f63b931bd"                                                                         \
	"47417a81a538327af927da3e"

static void a_digest_has_one_spelling(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = {
		{ "sha256:" EMPTY256, OL_OK },
		{ "sha512:" EMPTY512, OL_OK },
		{ "", OL_EINVAL },
		{ "sha256", OL_EINVAL },
		{ EMPTY256, OL_EINVAL },
		{ ":" EMPTY256, OL_EINVAL },
		{ "sha256:", OL_EINVAL },
		{ "sha256:" EMPTY256 "0", OL_EINVAL },
		{ "sha256:e3b0", OL_EINVAL },
		{ "sha512:" EMPTY256, OL_EINVAL },
		{ "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
			OL_EINVAL },
		{ "sha256:g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			OL_EINVAL },
		{ "sha256:../../../etc/passwd", OL_EINVAL },
		{ "sha256/x:" EMPTY256, OL_EINVAL },
		{ "SHA256:" EMPTY256, OL_EINVAL },
		{ " sha256:" EMPTY256, OL_EINVAL },
		{ "sha256:" EMPTY256 "\n", OL_EINVAL },
		{ "+sha256:" EMPTY256, OL_EINVAL },
		{ "sha256+:" EMPTY256, OL_EINVAL },
		{ "a++b:x", OL_EINVAL },
		{ "blake3:" EMPTY256, OL_EUNSUPPORTED },
		{ "md5:d41d8cd98f00b204e9800998ecf8427e", OL_EUNSUPPORTED },
		{ "a+b.c_d-e:X=_-", OL_EUNSUPPORTED },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_digest digest = { 0 };
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, ol_digest_parse(ol_view_of(c->text), &digest, &err));
		CHECK_INT(c->text, c->rc == OL_OK, ol_digest_is_set(&digest));
		CHECK_INT(c->text, c->rc < 0, err.text[0] != '\0');
		CHECK_STR(c->text, c->rc < 0 ? "" : c->text, ol_digest_format(&digest).text);
	}
	CHECK_INT("no bytes", OL_EINVAL, ol_digest_parse((ol_view){ 0 }, &(ol_digest){ 0 }, NULL));
}

static void what_is_refused_is_quoted_safely(void **state)
{
	ol_digest digest = { 0 };
	ol_error err = { 0 };

	(void)state;
	CHECK_INT(
		"escape", OL_EINVAL, ol_digest_parse(ol_view_of("sha256:\x1b[2J"), &digest, &err));
	CHECK_STR("escape", "digest \"sha256:\\x1b[2J\" is not well formed", err.text);
}

static void ids_are_shown_in_parts(void **state)
{
	ol_digest digest = ol_digest_of(OL_SHA256, "", 0), none = { 0 };

	(void)state;
	CHECK_STR("hex", EMPTY256, ol_digest_hex(&digest).text);
	CHECK_STR("short", "e3b0c44298fc", ol_digest_short(&digest).text);
	CHECK_STR("none", "", ol_digest_format(&none).text);
	CHECK_STR("none", "", ol_digest_short(&none).text);
	CHECK_STR("name", "sha256", ol_algorithm_name(OL_SHA256));
	CHECK_INT("size", 64, (long long)ol_algorithm_size(OL_SHA512));
}

/* FIPS 180-2, appendices B and C. */
static void known_bytes_have_known_digests(void **state)
{
	static const struct {
		ol_algorithm algorithm;
		const char *bytes, *digest;
	} cases[] = {
		{ OL_SHA256, "", "sha256:" EMPTY256 },
		{ OL_SHA256, "abc",
			"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ OL_SHA256, "{}",
			"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" },
		{ OL_SHA512, "", "sha512:" EMPTY512 },
		{ OL_SHA512, "abc",
			"sha512:"
			"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a27"
			"4fc1a836ba3c23a3"
			"feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_digest digest = ol_digest_of(c->algorithm, c->bytes, strlen(c->bytes));

		CHECK_STR(c->bytes, c->digest, ol_digest_format(&digest).text);
	}
}

static void hashing_in_pieces_is_hashing(void **state)
{
	ol_auto(ol_hasher_free) ol_hasher *hasher = ol_hasher_new(OL_SHA256);
	ol_digest whole = ol_digest_of(OL_SHA256, "abcdef", 6),
		  prefix = ol_digest_of(OL_SHA256, "abc", 3), got;
	ol_auto(ol_hasher_free) ol_hasher *copy = NULL;

	(void)state;
	ol_hasher_update(hasher, "ab", 2);
	ol_hasher_update(hasher, NULL, 0);
	ol_hasher_update(hasher, "c", 1);
	copy = ol_hasher_copy(hasher);
	ol_hasher_update(hasher, "def", 3);
	got = ol_hasher_final(hasher);
	CHECK_INT("whole", 1, ol_digest_eq(&whole, &got));
	got = ol_hasher_final(copy);
	CHECK_INT("prefix", 1, ol_digest_eq(&prefix, &got));
	ol_hasher_update(hasher, "abc", 3);
	got = ol_hasher_final(hasher);
	CHECK_INT("anew", 1, ol_digest_eq(&prefix, &got));
}

static void digests_differ_by_bytes_and_algorithm(void **state)
{
	ol_digest a = ol_digest_of(OL_SHA256, "a", 1), b = ol_digest_of(OL_SHA256, "b", 1);
	ol_digest c = ol_digest_of(OL_SHA512, "a", 1), none = { 0 };
	ol_error err = { 0 };

	(void)state;
	CHECK_INT("same", OL_OK, ol_digest_check(&a, &a, &err));
	CHECK_INT("bytes", OL_ECORRUPT, ol_digest_check(&a, &b, &err));
	CHECK_STR("both are named",
		"digest is "
		"sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d, not "
		"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
		err.text);
	CHECK_INT("algorithm", OL_ECORRUPT, ol_digest_check(&a, &c, &err));
	CHECK_INT("none", OL_ECORRUPT, ol_digest_check(&a, &none, &err));
}

static void hex_is_lower_case_and_of_one_size(void **state)
{
	static const struct {
		const char *hex;
		int rc;
	} cases[] = {
		{ "00ff1a", OL_OK },
		{ "00ff1", OL_EINVAL },
		{ "00ff1a0", OL_EINVAL },
		{ "00FF1A", OL_EINVAL },
		{ "00ff1g", OL_EINVAL },
		{ "0x0011", OL_EINVAL },
		{ "", OL_EINVAL },
		{ " 0ff1a", OL_EINVAL },
	};

	(void)state;
	OL_EACH (cases, c) {
		uint8_t bytes[3] = { 0 };
		char hex[7];

		CHECK_INT(c->hex, c->rc, ol_hex_parse(ol_view_of(c->hex), bytes, sizeof bytes));
		ol_hex_format(bytes, sizeof bytes, hex);
		if (c->rc == OL_OK)
			CHECK_STR(c->hex, c->hex, hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_digest_has_one_spelling),
		cmocka_unit_test(what_is_refused_is_quoted_safely),
		cmocka_unit_test(ids_are_shown_in_parts),
		cmocka_unit_test(known_bytes_have_known_digests),
		cmocka_unit_test(hashing_in_pieces_is_hashing),
		cmocka_unit_test(digests_differ_by_bytes_and_algorithm),
		cmocka_unit_test(hex_is_lower_case_and_of_one_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
