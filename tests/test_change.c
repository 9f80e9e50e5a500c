#include "base/alloc.h"
#include "base/limits.h"
#include "image/change_priv.h"
#include "tests/check.h"

#define CHANGES 6

static void check_changes(const char *const *changes, int rc, const char *want)
{
	ol_auto(ol_json_free) ol_json *config = ol_json_object();
	ol_auto_str ol_str text = OL_STR(OL_CONFIG_BYTES_MAX);
	ol_error err = { 0 };
	int got = OL_OK;

	for (size_t i = 0; got == OL_OK && i < CHANGES && changes[i]; i++)
		got = ol_change_apply(config, changes[i], &err);
	CHECK_INT(changes[0], rc, got);
	if (got < 0) {
		CHECK_STR(changes[0], want, err.text);
		return;
	}
	CHECK_INT("format", OL_OK,
		ol_json_format(ol_json_get(config, "config"), OL_JSON_SORTED, &text, NULL));
	CHECK_STR(changes[0], want, ol_str_text(&text));
}

/* A change means what it would mean in a Dockerfile. */
static void a_change_means_what_a_dockerfile_means(void **state)
{
	static const struct {
		const char *changes[CHANGES];
		const char *want;
	} cases[] = {
		{ { "CMD [\"/bin/sh\", \"-c\", \"a b\"]" },
			"{\"Cmd\":[\"/bin/sh\",\"-c\",\"a b\"]}" },
		{ { "CMD echo  \"$HOME\"" },
			"{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo  \\\"$HOME\\\"\"]}" },
		{ { "cmd []" }, "{\"Cmd\":[]}" },
		{ { "CMD [not json" }, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"[not json\"]}" },
		{ { "CMD a", "CMD [\"b\"]" }, "{\"Cmd\":[\"b\"]}" },
		{ { "CMD=/bin/bash" }, "{\"Cmd\":[\"/bin/sh\",\"-c\",\"/bin/bash\"]}" },
		{ { "  Entrypoint\t[\"/init\"]  " }, "{\"Entrypoint\":[\"/init\"]}" },
		{ { "ENV A=1 B=2" }, "{\"Env\":[\"A=1\",\"B=2\"]}" },
		{ { "ENV A=1", "ENV B=2", "ENV A=3" }, "{\"Env\":[\"A=3\",\"B=2\"]}" },
		{ { "ENV A=\"x y\" B='p q'" }, "{\"Env\":[\"A=x y\",\"B=p q\"]}" },
		{ { "ENV A=x\\ y B=\\\"" }, "{\"Env\":[\"A=x y\",\"B=\\\"\"]}" },
		{ { "ENV A=\"\\$x \\n\"" }, "{\"Env\":[\"A=$x \\\\n\"]}" },
		{ { "ENV A='$x' B=a$" }, "{\"Env\":[\"A=$x\",\"B=a$\"]}" },
		{ { "ENV A=" }, "{\"Env\":[\"A=\"]}" },
		{ { "ENV A=b=c" }, "{\"Env\":[\"A=b=c\"]}" },
		{ { "ENV A  the rest \"of it\"" }, "{\"Env\":[\"A=the rest of it\"]}" },
		{ { "ENV P=/bin", "ENV P=$P:/sbin" }, "{\"Env\":[\"P=/bin:/sbin\"]}" },
		{ { "ENV P=1", "ENV Q=${P}2 R=$P2" }, "{\"Env\":[\"P=1\",\"Q=12\",\"R=\"]}" },
		{ { "ENV P=1", "ENV A=${P:-n} B=${Q:-n} C=${P:+y} D=${Q:+y}" },
			"{\"Env\":[\"P=1\",\"A=1\",\"B=n\",\"C=y\",\"D=\"]}" },
		{ { "ENV P=1", "ENV A=${Q:-${P}x}" }, "{\"Env\":[\"P=1\",\"A=1x\"]}" },
		{ { "LABEL a=1 \"b c\"=\"d e\"" }, "{\"Labels\":{\"a\":\"1\",\"b c\":\"d e\"}}" },
		{ { "LABEL a=1", "LABEL a=2" }, "{\"Labels\":{\"a\":\"2\"}}" },
		{ { "EXPOSE 80 53/UDP", "expose 443" },
			"{\"ExposedPorts\":{\"443/tcp\":{},\"53/udp\":{},\"80/tcp\":{}}}" },
		{ { "EXPOSE 8000-8002/sctp" }, "{\"ExposedPorts\":{\"8000/sctp\":{},"
					       "\"8001/sctp\":{},\"8002/sctp\":{}}}" },
		{ { "ENV P=80", "EXPOSE $P" },
			"{\"Env\":[\"P=80\"],\"ExposedPorts\":{\"80/tcp\":{}}}" },
		{ { "VOLUME /a /b" }, "{\"Volumes\":{\"/a\":{},\"/b\":{}}}" },
		{ { "VOLUME [\"/a b\"]", "VOLUME /c" }, "{\"Volumes\":{\"/a b\":{},\"/c\":{}}}" },
		{ { "USER nobody:nogroup" }, "{\"User\":\"nobody:nogroup\"}" },
		{ { "STOPSIGNAL SIGINT" }, "{\"StopSignal\":\"SIGINT\"}" },
		{ { "WORKDIR /a//b/./c/../d/" }, "{\"WorkingDir\":\"/a/b/d\"}" },
		{ { "WORKDIR /a", "WORKDIR b c" }, "{\"WorkingDir\":\"/a/b c\"}" },
		{ { "WORKDIR ../.." }, "{\"WorkingDir\":\"/\"}" },
		{ { "WORKDIR /" }, "{\"WorkingDir\":\"/\"}" },
		{ { "ENV A=\xc3\xa4" }, "{\"Env\":[\"A=\xc3\xa4\"]}" },
	};

	(void)state;
	OL_EACH (cases, c)
		check_changes(c->changes, OL_OK, c->want);
}

static void what_is_no_change_is_refused(void **state)
{
	static const struct {
		const char *changes[CHANGES];
		const char *want;
	} cases[] = {
		{ { "" }, "\"\" is not a valid change command" },
		{ { "FROM x" }, "FROM is not a valid change command" },
		{ { "RUN x" }, "RUN is not a valid change command" },
		{ { "CMD1 x" }, "CMD1 is not a valid change command" },
		{ { "[\"x\"]" }, "\"[\"x\"]\" is not a valid change command" },
		{ { "CMD" }, "CMD requires at least one argument" },
		{ { "CMD [1]" },
			"when using JSON array syntax, arrays must be comprised of strings "
			"only" },
		{ { "ENV " }, "ENV requires at least one argument" },
		{ { "ENV A" }, "ENV must have two arguments" },
		{ { "ENV =x" }, "ENV names can not be blank" },
		{ { "ENV A=1 B" },
			"Syntax error - can't find = in \"B\". Must be of the form: name=value" },
		{ { "ENV A=\"x" }, "a \" that is not closed" },
		{ { "ENV A='x" }, "a ' that is not closed" },
		{ { "ENV A=${B" }, "a \"${\" that is not closed" },
		{ { "ENV A=${}" }, "a \"${}\" without a name" },
		{ { "ENV A=${B?c}" }, "unsupported modifier in a substitution: \"?c\"" },
		{ { "EXPOSE x" }, "Invalid containerPort: x" },
		{ { "EXPOSE 65536" }, "Invalid containerPort: 65536" },
		{ { "EXPOSE 80/icmp" }, "Invalid containerPort: 80/icmp" },
		{ { "EXPOSE 9-8" }, "Invalid containerPort: 9-8" },
		{ { "EXPOSE 9-" }, "Invalid containerPort: 9-" },
		{ { "VOLUME [\"\"]" }, "VOLUME specified can not be an empty string" },
		{ { "USER a b" }, "USER requires exactly one argument" },
		{ { "ENV A=1\nENV B=2" }, "a change is one line of UTF-8" },
		{ { "ENV A=\xff" }, "a change is one line of UTF-8" },
	};

	(void)state;
	OL_EACH (cases, c)
		check_changes(c->changes, OL_EINVAL, c->want);
}

/* A mistake leaves the config as it was. */
static void a_refused_change_changes_nothing(void **state)
{
	ol_auto(ol_json_free) ol_json *config = ol_json_object();
	ol_auto_str ol_str text = OL_STR(OL_CONFIG_BYTES_MAX);

	(void)state;
	CHECK_INT("good", OL_OK, ol_change_apply(config, "ENV A=1", NULL));
	CHECK_INT("half", OL_EINVAL, ol_change_apply(config, "ENV A=2 B=\"", NULL));
	CHECK_INT("format", OL_OK, ol_json_format(config, OL_JSON_SORTED, &text, NULL));
	CHECK_STR("config", "{\"config\":{\"Env\":[\"A=1\"]}}", ol_str_text(&text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_means_what_a_dockerfile_means),
		cmocka_unit_test(what_is_no_change_is_refused),
		cmocka_unit_test(a_refused_change_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
