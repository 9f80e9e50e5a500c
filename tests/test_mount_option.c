#include "cmd/mount_option.h"
#include "tests/check.h"

typedef int parser(const char *text, ol_arena *arena, ol_mount_option *out, ol_error *err);

static void mounts_are_read_as_docker_reads_them(void **state)
{
	static const struct {
		parser *parse;
		const char *text;
		ol_mount_option want;
	} cases[] = {
		{ ol_volume_parse, "/a:/b", { "bind", "/a", "/b", false, "", true } },
		{ ol_volume_parse, "/a:/b:ro", { "bind", "/a", "/b", true, "", true } },
		{ ol_volume_parse, "/a:/b:rw,z", { "bind", "/a", "/b", false, "", true } },
		{ ol_volume_parse, "/a:/b:ro,rslave",
			{ "bind", "/a", "/b", true, "rslave", true } },
		{ ol_mount_parse, "type=bind,src=/a,dst=/b",
			{ "bind", "/a", "/b", false, "", false } },
		{ ol_mount_parse, "type=bind,source=/a,target=/b,readonly",
			{ "bind", "/a", "/b", true, "", false } },
		{ ol_mount_parse, "type=bind,source=/a,destination=/b,ro=false",
			{ "bind", "/a", "/b", false, "", false } },
		{ ol_mount_parse, "TYPE=bind,SRC=/a,DST=/b",
			{ "bind", "/a", "/b", false, "", false } },
		{ ol_mount_parse, "type=bind,\"src=/a,b\",dst=/c",
			{ "bind", "/a,b", "/c", false, "", false } },
		{ ol_mount_parse, "\"type=bind\",\"src=/q\"\"q\",dst=/c",
			{ "bind", "/q\"q", "/c", false, "", false } },
		{ ol_mount_parse, "type=bind,src=/a,dst=/b,bind-propagation=shared",
			{ "bind", "/a", "/b", false, "shared", false } },
		{ ol_mount_parse, "type=tmpfs,dst=/t", { "tmpfs", NULL, "/t", false, "", false } },
		{ ol_mount_parse, "type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1777",
			{ "tmpfs", NULL, "/t", false, "size=67108864,mode=1777", false } },
		{ ol_tmpfs_parse, "/t", { "tmpfs", NULL, "/t", false, "", false } },
		{ ol_tmpfs_parse, "/t:size=64m,mode=0700",
			{ "tmpfs", NULL, "/t", false, "size=64m,mode=0700", false } },
	};

	(void)state;
	OL_EACH (cases, c) {
		ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
		ol_mount_option got = { 0 };
		ol_error err = { 0 };

		CHECK_INT(c->text, OL_OK, c->parse(c->text, arena, &got, &err));
		CHECK_STR(c->text, c->want.type, got.type);
		CHECK_STR(c->text, c->want.source ? c->want.source : "",
			got.source ? got.source : "");
		CHECK_STR(c->text, c->want.target, got.target);
		CHECK_INT(c->text, c->want.read_only, got.read_only);
		CHECK_STR(c->text, c->want.options, got.options);
		CHECK_INT(c->text, c->want.create_source, got.create_source);
	}
}

static void a_relative_source_is_meant_from_here(void **state)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_autofree char *here = getcwd(NULL, 0), *want = ol_text("%s/./x", here);
	ol_mount_option got = { 0 };

	(void)state;
	CHECK_INT("rc", OL_OK, ol_volume_parse("./x:/b", arena, &got, NULL));
	CHECK_STR("source", want, got.source);
}

static const struct {
	parser *parse;
	const char *text;
	int rc;
	const char *why;
} refused[] = {
	{ ol_volume_parse, "data:/b", OL_EUNSUPPORTED,
		"--volume data:/b: named volumes are not supported" },
	{ ol_volume_parse, "/b", OL_EUNSUPPORTED,
		"--volume /b: volumes without a host folder are not supported" },
	{ ol_volume_parse, "", OL_EUNSUPPORTED,
		"--volume : volumes without a host folder are not supported" },
	{ ol_volume_parse, ":/b", OL_EINVAL,
		"invalid argument \":/b\" for \"--volume\" flag: it is "
		"HOST:CONTAINER[:MODE]" },
	{ ol_volume_parse, "/a:", OL_EINVAL,
		"invalid argument \"/a:\" for \"--volume\" flag: it is "
		"HOST:CONTAINER[:MODE]" },
	{ ol_volume_parse, "/a:/b:", OL_EINVAL,
		"invalid argument \"/a:/b:\" for \"--volume\" flag: it is "
		"HOST:CONTAINER[:MODE]" },
	{ ol_volume_parse, "/a:/b:ro:x", OL_EINVAL,
		"invalid argument \"/a:/b:ro:x\" for \"--volume\" flag: it is "
		"HOST:CONTAINER[:MODE]" },
	{ ol_volume_parse, "/a:b", OL_EINVAL,
		"invalid argument \"/a:b\" for \"--volume\" flag: the path in the "
		"container must be absolute" },
	{ ol_volume_parse, "/a://", OL_EINVAL,
		"invalid argument \"/a://\" for \"--volume\" flag: the path in the "
		"container can't be '/'" },
	{ ol_volume_parse, "/a:/b:nope", OL_EINVAL,
		"invalid argument \"/a:/b:nope\" for \"--volume\" flag: invalid mode: "
		"nope" },
	{ ol_volume_parse, "/a:/b:ro,", OL_EINVAL,
		"invalid argument \"/a:/b:ro,\" for \"--volume\" flag: invalid mode: " },
	{ ol_mount_parse, "", OL_EINVAL,
		"invalid argument \"\" for \"--mount\" flag: unexpected key ''" },
	{ ol_mount_parse, "src=/a,dst=/b", OL_EUNSUPPORTED,
		"--mount src=/a,dst=/b: type=volume is not supported" },
	{ ol_mount_parse, "type=volume,dst=/b", OL_EUNSUPPORTED,
		"--mount type=volume,dst=/b: type=volume is not supported" },
	{ ol_mount_parse, "type=bind,src=/a", OL_EINVAL,
		"invalid argument \"type=bind,src=/a\" for \"--mount\" flag: target is "
		"required" },
	{ ol_mount_parse, "type=bind,dst=/a", OL_EINVAL,
		"invalid argument \"type=bind,dst=/a\" for \"--mount\" flag: a bind needs "
		"a source" },
	{ ol_mount_parse, "type=tmpfs,src=/a,dst=/b", OL_EINVAL,
		"invalid argument \"type=tmpfs,src=/a,dst=/b\" for \"--mount\" flag: a "
		"tmpfs has no source" },
	{ ol_mount_parse, "type=bind,foo=1", OL_EINVAL,
		"invalid argument \"type=bind,foo=1\" for \"--mount\" flag: unexpected key "
		"'foo'" },
	{ ol_mount_parse, "type=bind,src", OL_EINVAL,
		"invalid argument \"type=bind,src\" for \"--mount\" flag: every field but "
		"readonly is KEY=VALUE" },
	{ ol_mount_parse, "type=bind,ro=maybe", OL_EINVAL,
		"invalid argument \"type=bind,ro=maybe\" for \"--mount\" flag: readonly is "
		"true or false" },
	{ ol_mount_parse, "\"type=bind", OL_EINVAL,
		"invalid argument \"\"type=bind\" for \"--mount\" flag: a quote that does "
		"not end" },
	{ ol_mount_parse, "ty\"pe=bind", OL_EINVAL,
		"invalid argument \"ty\"pe=bind\" for \"--mount\" flag: a quote in a field "
		"that does not start with one" },
	{ ol_mount_parse, "\"type=bind\"x", OL_EINVAL,
		"invalid argument \"\"type=bind\"x\" for \"--mount\" flag: text after a "
		"quoted field" },
	{ ol_mount_parse, "type=tmpfs,dst=/t,tmpfs-size=x", OL_EINVAL,
		"invalid argument \"type=tmpfs,dst=/t,tmpfs-size=x\" for \"--mount\" flag: "
		"tmpfs-size is a size: 64m" },
	{ ol_mount_parse, "type=tmpfs,dst=/t,tmpfs-mode=9", OL_EINVAL,
		"invalid argument \"type=tmpfs,dst=/t,tmpfs-mode=9\" for \"--mount\" flag: "
		"tmpfs-mode is octal: 1777" },
	{ ol_mount_parse, "type=bind,src=/a,dst=/t,tmpfs-mode=1", OL_EINVAL,
		"invalid argument \"type=bind,src=/a,dst=/t,tmpfs-mode=1\" for \"--mount\" "
		"flag: tmpfs-size and tmpfs-mode belong to type=tmpfs" },
	{ ol_mount_parse, "type=tmpfs,dst=/t,bind-propagation=shared", OL_EINVAL,
		"invalid argument \"type=tmpfs,dst=/t,bind-propagation=shared\" for "
		"\"--mount\" flag: bind-propagation belongs to type=bind" },
	{ ol_tmpfs_parse, "t", OL_EINVAL,
		"invalid argument \"t\" for \"--tmpfs\" flag: the path in the container "
		"must be absolute" },
	{ ol_tmpfs_parse, "/", OL_EINVAL,
		"invalid argument \"/\" for \"--tmpfs\" flag: the path in the container "
		"can't be '/'" },
};

static void what_cannot_be_mounted_is_refused(void **state)
{
	(void)state;
	OL_EACH (refused, c) {
		ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
		ol_mount_option got = { 0 };
		ol_error err = { 0 };

		CHECK_INT(c->text, c->rc, c->parse(c->text, arena, &got, &err));
		CHECK_STR(c->text, c->why, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mounts_are_read_as_docker_reads_them),
		cmocka_unit_test(a_relative_source_is_meant_from_here),
		cmocka_unit_test(what_cannot_be_mounted_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
