#include "cmd/lazy_options.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/size.h"

const ol_option ol_lazy_options_table[] = {
	{ .name = "lazy",
		.kind = OL_OPTION_FLAG,
		.help = "Pull only what says where everything is; the rest comes when it is read, "
			"or in the background (ORLOP_LAZY=1)" },
	{ .name = "lazy-engine",
		.kind = OL_OPTION_TEXT,
		.value = "ENGINE",
		.choices = "auto|fanotify|fuse",
		.help = "How reads of what is not there yet are noticed (ORLOP_LAZY_ENGINE)",
		.otherwise = "auto" },
	{ .name = "lazy-rate",
		.kind = OL_OPTION_TEXT,
		.value = "BYTES",
		.help = "At most so much a second in the background, as 2m",
		.otherwise = "as much as comes" },
	{ .name = "lazy-timeout",
		.kind = OL_OPTION_TEXT,
		.value = "SECONDS",
		.help = "How long a read waits for a registry before it fails" },
	{ .name = "lazy-unbound",
		.kind = OL_OPTION_FLAG,
		.help = "Believe SOCI indexes of version 1 too, which whoever can push may attach: "
			"nothing in the image names them" },
	{ .name = "no-fill",
		.kind = OL_OPTION_FLAG,
		.help = "Fetch nothing in the background, only what is read" },
	{ 0 },
};

#define TIMEOUT_DIGITS_MAX 6
#define ENGINE_VARIABLE    "ORLOP_LAZY_ENGINE"

static int read_timeout(const char *text, uint64_t *out, ol_error *err)
{
	const size_t size = strlen(text);

	if (size == 0 || size > TIMEOUT_DIGITS_MAX || strspn(text, "0123456789") != size ||
		strtoul(text, NULL, 10) == 0)
		return ol_fail(err, OL_EINVAL,
			"invalid argument \"%s\" for \"--lazy-timeout\" flag: it is a number of "
			"seconds from 1 to 999999",
			text);
	*out = strtoul(text, NULL, 10) * UINT64_C(1000);
	return OL_OK;
}

static int read_rate(const char *text, uint64_t *out, ol_error *err)
{
	int rc = ol_size_parse(text, out, err);

	if (rc == OL_OK && *out == 0)
		rc = ol_fail(err, OL_EINVAL, "nothing would ever come: leave it out, or --no-fill");
	return rc < 0 ? ol_wrap(err, rc, "invalid argument \"%s\" for \"--lazy-rate\" flag", text)
		      : OL_OK;
}

static bool is_wanted(const ol_args *args)
{
	const char *always = getenv("ORLOP_LAZY");
	bool on = false;

	if (ol_args_has(args, "lazy"))
		return ol_args_flag(args, "lazy");
	return always && ol_bool_parse(always, &on) && on;
}

int ol_lazy_options_read(
	const ol_args *args, ol_lazy_options *out, const ol_lazy_options **use, ol_error *err)
{
	static const char *const how[] = { "lazy-engine", "lazy-rate", "lazy-timeout",
		"lazy-unbound", "no-fill" };
	const char *engine = ol_args_text(args, "lazy-engine");
	const char *rate = ol_args_text(args, "lazy-rate");
	const char *timeout = ol_args_text(args, "lazy-timeout");
	int rc = OL_OK;

	*use = NULL;
	*out = (ol_lazy_options){
		.lazy = is_wanted(args),
		.unbound = ol_args_flag(args, "lazy-unbound"),
		.no_fill = ol_args_flag(args, "no-fill"),
		.engine = engine && strcmp(engine, "auto") != 0 ? engine : NULL,
	};
	for (size_t i = 0; !out->lazy && i < sizeof how / sizeof *how; i++)
		if (ol_args_has(args, how[i]))
			return ol_fail(err, OL_EINVAL, "--%s means nothing without --lazy", how[i]);
	if (rate)
		rc = read_rate(rate, &out->rate_bytes, err);
	if (rc == OL_OK && timeout)
		rc = read_timeout(timeout, &out->timeout_ms, err);
	if (rc < 0 || !out->lazy)
		return rc;
	/* The holder is started with our environment. */
	if (engine)
		(void)setenv(ENGINE_VARIABLE, engine, 1);
	else if (!out->engine && (engine = getenv(ENGINE_VARIABLE)) && *engine)
		out->engine = strcmp(engine, "auto") == 0 ? NULL : engine;
	*use = out;
	return OL_OK;
}
