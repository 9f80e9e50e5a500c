#include "manifest/platform.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "base/str.h"

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = "abcdefghijklmnopqrstuvwxyz"[*text - 'A'];
}

/* Zero to the end, so that equal platforms have equal bytes. */
static void set(char *field, size_t size, const char *text)
{
	(void)memset(field, 0, size);
	(void)snprintf(field, size, "%s", text);
}

#define SET(field, text) set((field), sizeof(field), (text))

/* Other names of an architecture; some say the variant, too. */
static const struct {
	const char *alias, *architecture, *variant;
} aliases[] = {
	{ "i386", "386", "" },
	{ "x86_64", "amd64", NULL },
	{ "x86-64", "amd64", NULL },
	{ "aarch64", "arm64", NULL },
	{ "armhf", "arm", "v7" },
	{ "armel", "arm", "v6" },
};

/* Other names of a variant. The common one of amd64 and arm64 is not said, that of arm is. */
static const struct {
	const char *architecture, *alias, *variant;
} variants[] = {
	{ "amd64", "v1", "" },
	{ "arm64", "8", "" },
	{ "arm64", "v8", "" },
	{ "arm64", "v8.0", "" },
	{ "arm64", "9", "v9" },
	{ "arm64", "9.0", "v9" },
	{ "arm64", "v9.0", "v9" },
	{ "arm", "", "v7" },
	{ "arm", "5", "v5" },
	{ "arm", "6", "v6" },
	{ "arm", "7", "v7" },
	{ "arm", "8", "v8" },
};

void ol_platform_normalise(ol_platform *platform)
{
	lower(platform->os);
	lower(platform->architecture);
	lower(platform->variant);
	if (strcmp(platform->os, "macos") == 0)
		SET(platform->os, "darwin");
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
		if (strcmp(platform->architecture, aliases[i].alias) != 0)
			continue;
		SET(platform->architecture, aliases[i].architecture);
		if (aliases[i].variant)
			SET(platform->variant, aliases[i].variant);
		break;
	}
	for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
		if (strcmp(platform->architecture, variants[i].architecture) != 0 ||
			strcmp(platform->variant, variants[i].alias) != 0)
			continue;
		SET(platform->variant, variants[i].variant);
		break;
	}
}

static bool is_known(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Go's names, which are those of the image-spec. */
static bool is_known_os(const char *name)
{
	static const char *const names[] = { "aix", "android", "darwin", "dragonfly", "freebsd",
		"hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd", "openbsd", "plan9",
		"solaris", "wasip1", "windows", "zos" };

	return is_known(names, sizeof names / sizeof names[0], name);
}

static bool is_known_architecture(const char *name)
{
	static const char *const names[] = { "386", "amd64", "amd64p32", "arm", "armbe", "arm64",
		"arm64be", "loong64", "mips", "mipsle", "mips64", "mips64le", "mips64p32",
		"mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x",
		"sparc", "sparc64", "wasm" };

	return is_known(names, sizeof names / sizeof names[0], name);
}

static bool is_word(ol_view v)
{
	for (size_t i = 0; i < v.size; i++) {
		char c = v.data[i];
		bool alnum =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!alnum && c != '_' && c != '-' && c != '.')
			return false;
	}
	return v.size > 0;
}

static int refuse(const char *text, const char *why, ol_error *err)
{
	ol_auto_str ol_str safe = OL_STR(256);

	(void)ol_str_add_safe(&safe, ol_view_from(text, strnlen(text, 64)));
	(void)ol_fail(err, OL_EINVAL, "platform \"%s\" %s", ol_str_text(&safe), why);
	return ol_hint(err, OL_EINVAL,
		"write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64");
}

/* One word says which of the two it is by being known; the other is the host's. */
static int parse_word(const char *text, ol_platform *platform, ol_error *err)
{
	ol_platform host = ol_platform_host();
	ol_platform word = { 0 };

	SET(word.os, platform->os);
	ol_platform_normalise(&word);
	if (is_known_os(word.os)) {
		SET(host.os, word.os);
		*platform = host;
		return OL_OK;
	}
	SET(word.architecture, platform->os);
	ol_platform_normalise(&word);
	if (!is_known_architecture(word.architecture))
		return refuse(text, "is neither an operating system nor an architecture", err);
	SET(word.os, host.os);
	*platform = word;
	return OL_OK;
}

int ol_platform_parse(const char *text, ol_platform *out, ol_error *err)
{
	ol_platform platform = { 0 };
	const struct {
		char *to;
		size_t size;
	} parts[] = {
		{ platform.os, sizeof platform.os },
		{ platform.architecture, sizeof platform.architecture },
		{ platform.variant, sizeof platform.variant },
	};
	size_t count = 0;
	int rc = OL_OK;

	for (const char *at = text;; at++) {
		ol_view part = ol_view_from(at, strcspn(at, "/"));

		if (count == sizeof parts / sizeof parts[0])
			return refuse(text, "has more than three parts", err);
		if (!is_word(part))
			return refuse(text, "has a part that is not a name", err);
		if (part.size >= parts[count].size)
			return refuse(text, "has a part that is too long", err);
		memcpy(parts[count].to, part.data, part.size);
		count++;
		at += part.size;
		if (*at == '\0')
			break;
	}

	if (count == 1)
		rc = parse_word(text, &platform, err);
	if (rc < 0)
		return rc;
	ol_platform_normalise(&platform);
	*out = platform;
	return OL_OK;
}

ol_platform_text ol_platform_format(const ol_platform *platform)
{
	ol_platform_text out;

	(void)snprintf(out.text, sizeof out.text, "%s/%s%s%s",
		platform->os[0] ? platform->os : "unknown",
		platform->architecture[0] ? platform->architecture : "unknown",
		platform->variant[0] ? "/" : "", platform->variant);
	return out;
}

#ifdef __x86_64__
/* The levels of the x86-64 psABI, "Micro-architecture levels". */
static int amd64_level(void)
{
	const unsigned v2_c =
		bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT;
	const unsigned v3_c = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
	const unsigned v3_b = bit_BMI | bit_AVX2 | bit_BMI2;
	const unsigned v4_b =
		bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
	const unsigned ymm = 0x6, zmm = 0xe6; /* the registers that the kernel saves */
	unsigned a, b, c, d, extended_c, features_b = 0, saved = 0, saved_high;

	if (!__get_cpuid(0x80000001, &a, &b, &extended_c, &d) || !__get_cpuid(1, &a, &b, &c, &d))
		return 1;
	if ((c & v2_c) != v2_c || !(extended_c & bit_LAHF_LM))
		return 1;
	if ((c & v3_c) != v3_c || !(extended_c & bit_LZCNT))
		return 2;
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
		features_b = b;
	__asm__("xgetbv" : "=a"(saved), "=d"(saved_high) : "c"(0));
	if ((features_b & v3_b) != v3_b || (saved & ymm) != ymm)
		return 2;
	return (features_b & v4_b) == v4_b && (saved & zmm) == zmm ? 4 : 3;
}
#endif

ol_platform ol_platform_host(void)
{
	ol_platform host = { .os = "linux" };

#ifdef __x86_64__
	SET(host.architecture, "amd64");
	(void)snprintf(host.variant, sizeof host.variant, "v%d", amd64_level());
#else
	struct utsname system;
	/* The kernel's names differ from Go's for these; normalising knows the others. */
	static const struct {
		const char *machine, *architecture, *variant;
	} rows[] = {
		{ "i486", "386", "" },
		{ "i586", "386", "" },
		{ "i686", "386", "" },
		{ "armv5", "arm", "v5" },
		{ "armv6", "arm", "v6" },
		{ "armv7", "arm", "v7" },
		{ "armv8", "arm", "v8" },
		{ "loongarch64", "loong64", "" },
	};

	if (uname(&system) < 0)
		return host;
	(void)snprintf(host.architecture, sizeof host.architecture, "%.31s", system.machine);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strncmp(system.machine, rows[i].machine, strlen(rows[i].machine)) != 0)
			continue;
		SET(host.architecture, rows[i].architecture);
		SET(host.variant, rows[i].variant);
	}
#endif
	ol_platform_normalise(&host);
	return host;
}

/* Everything that runs on a processor, best first. */
struct vector {
	struct {
		const char *architecture;
		char variant[16];
	} rows[32];
	size_t count;
};

static void add(struct vector *vector, const char *architecture, const char *variant)
{
	/* The longest is arm64/v9.9: ten of v9, ten of v8, four of arm. */
	if (vector->count == sizeof vector->rows / sizeof vector->rows[0])
		return;
	vector->rows[vector->count].architecture = architecture;
	SET(vector->rows[vector->count].variant, variant);
	vector->count++;
}

/* "v8" is 8.0, "v9.2" is 9.2; both are one digit. */
static bool parse_variant(const char *text, int *major, int *minor)
{
	size_t size = strlen(text);

	if (text[0] != 'v' || (size != 2 && size != 4) || text[1] < '1' || text[1] > '9')
		return false;
	*major = text[1] - '0';
	*minor = 0;
	if (size == 2)
		return true;
	*minor = text[3] - '0';
	return text[2] == '.' && *minor >= 0 && *minor <= 9;
}

static void add_minors(struct vector *vector, int major, int minor)
{
	for (; minor >= 0; minor--) {
		ol_platform platform = { .architecture = "arm64" };

		(void)snprintf(platform.variant, sizeof platform.variant, "v%d.%d", major, minor);
		ol_platform_normalise(&platform);
		add(vector, "arm64", platform.variant);
	}
}

static void add_majors(struct vector *vector, const char *architecture, int major, int last)
{
	for (; major >= last; major--) {
		char variant[16];

		(void)snprintf(variant, sizeof variant, "v%d", major);
		add(vector, architecture, variant);
	}
}

static void vector_of(const ol_platform *want, struct vector *out)
{
	const char *variant = want->variant;
	int major = 0, minor = 0;
	bool versioned;

	add(out, want->architecture, variant);
	if (strcmp(want->architecture, "amd64") == 0) {
		versioned = parse_variant(variant, &major, &minor) && minor == 0;
		if (versioned && major > 1) {
			add_majors(out, "amd64", major - 1, 2);
			add(out, "amd64", "");
		}
		if (versioned || !variant[0])
			add(out, "386", "");
	} else if (strcmp(want->architecture, "arm") == 0) {
		if (parse_variant(variant, &major, &minor) && minor == 0)
			add_majors(out, "arm", major - 1, 5);
	} else if (strcmp(want->architecture, "arm64") == 0) {
		versioned =
			parse_variant(variant[0] ? variant : "v8", &major, &minor) && major >= 8;
		if (!versioned)
			return;
		add_minors(out, major, minor - 1);
		/* Armv9.x has what Armv8.(x+5) has; there is no Armv8.10. */
		if (major == 9)
			add_minors(out, 8, minor + 5 > 9 ? 9 : minor + 5);
		add_majors(out, "arm", 8, 5);
	}
}

int ol_platform_match(const ol_platform *want, const ol_platform *have)
{
	struct vector vector = { 0 };

	if (!have->os[0] || strcmp(want->os, have->os) != 0)
		return -1;
	if (want->os_version[0] && have->os_version[0] &&
		strcmp(want->os_version, have->os_version) != 0)
		return -1;
	vector_of(want, &vector);
	for (size_t i = 0; i < vector.count; i++)
		if (strcmp(vector.rows[i].architecture, have->architecture) == 0 &&
			strcmp(vector.rows[i].variant, have->variant) == 0)
			return (int)i;
	return -1;
}

bool ol_platform_is_unknown(const ol_platform *platform)
{
	return strcmp(platform->os, "unknown") == 0 &&
	       strcmp(platform->architecture, "unknown") == 0;
}
