#include "cmd/man.h"

#include <ctype.h>

#include "base/alloc.h"
#include "cmd/exit_status.h"
#include "cmd/help.h"

/*
 * man(7) macros only, which groff and mandoc both know. In our texts `word` marks what is typed,
 * and becomes bold; blank lines split paragraphs.
 */

/* Text for roff: nothing in it is a macro or an escape. */
static void add_text(ol_str *out, const char *text)
{
	bool bold = false, line_start = out->size == 0 || out->data[out->size - 1] == '\n';

	for (const char *p = text; *p; p++) {
		if (line_start && (*p == '.' || *p == '\''))
			(void)ol_str_add(out, "\\&");
		line_start = *p == '\n';
		if (*p == '`') {
			bold = !bold;
			(void)ol_str_add(out, bold ? "\\fB" : "\\fR");
		} else if (*p == '\\') {
			(void)ol_str_add(out, "\\e");
		} else if (*p == '-') {
			(void)ol_str_add(out, "\\-");
		} else if (*p == '\n' && p[1] == '\n') {
			(void)ol_str_add(out, "\n.PP\n");
			p++;
			line_start = true;
		} else {
			(void)ol_str_addc(out, *p);
		}
	}
}

static void add_line(ol_str *out, const char *text)
{
	add_text(out, text);
	(void)ol_str_addc(out, '\n');
}

static void add_head(ol_str *out, const char *page, const char *summary)
{
	ol_autofree char *name = ol_strdup(page);

	for (char *p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	(void)ol_str_addf(
		out, ".TH %s 1 \"\" \"orlop %s\" \"orlop\"\n.SH NAME\n", name, ORLOP_VERSION);
	add_text(out, page);
	(void)ol_str_add(out, " \\- ");
	/* The summary stands behind the dash: it cannot begin a line. */
	add_line(out, summary);
}

/* "[OPTIONS] IMAGE [COMMAND]": what is in capitals is to be replaced. */
static void add_synopsis(ol_str *out, const char *name, const char *usage)
{
	(void)ol_str_add(out, ".SH SYNOPSIS\n");
	(void)ol_str_addf(out, "\\fBorlop%s%s\\fR ", *name ? " " : "", name);
	for (const char *p = usage; *p; p++) {
		bool first = isupper((unsigned char)*p) &&
			     (p == usage || !isupper((unsigned char)p[-1]));
		bool last = isupper((unsigned char)*p) && !isupper((unsigned char)p[1]);

		(void)ol_str_addf(out, "%s%s%c%s", first ? "\\fI" : "", *p == '-' ? "\\" : "", *p,
			last ? "\\fR" : "");
	}
	(void)ol_str_addc(out, '\n');
}

static void add_option(ol_str *out, const ol_option *option)
{
	(void)ol_str_add(out, ".TP\n");
	if (option->letter)
		(void)ol_str_addf(out, "\\fB\\-%c\\fR, ", option->letter);
	(void)ol_str_add(out, "\\fB\\-\\-");
	for (const char *p = option->name; *p; p++)
		(void)ol_str_addf(out, "%s%c", *p == '-' ? "\\" : "", *p);
	(void)ol_str_add(out, "\\fR");
	if (option->value)
		(void)ol_str_addf(out, " \\fI%s\\fR", option->value);
	(void)ol_str_addc(out, '\n');
	add_text(out, option->help);
	if (option->choices) {
		(void)ol_str_add(out, ": ");
		for (const char *c = option->choices; *c; c++)
			(void)ol_str_add(out, *c == '|' ? ", " : (char[]){ *c, 0 });
	}
	if (option->otherwise) {
		(void)ol_str_add(out, " (default ");
		add_text(out, option->otherwise);
		(void)ol_str_addc(out, ')');
	}
	(void)ol_str_add(out, ".\n");
}

static void add_status(ol_str *out)
{
	(void)ol_str_add(out, ".SH EXIT STATUS\n");
	for (const ol_status_row *row = ol_status_rows(); row->status; row++) {
		(void)ol_str_addf(out, ".TP\n.B %s\n", row->status);
		add_line(out, row->meaning);
	}
}

static void add_commands(ol_str *out, ol_command_group group)
{
	(void)ol_str_addf(out, ".SS %s\n", ol_group_title(group));
	for (const ol_command *const *c = ol_commands(); *c; c++) {
		if ((*c)->group != group)
			continue;
		(void)ol_str_addf(out, ".TP\n\\fBorlop\\-%s\\fR(1)\n", (*c)->name);
		add_line(out, (*c)->summary);
	}
}

static void add_pairs(ol_str *out, const char *title, const char *const (*rows)[2])
{
	(void)ol_str_addf(out, ".SH %s\n", title);
	for (; (*rows)[0]; rows++) {
		(void)ol_str_add(out, ".TP\n.B ");
		add_line(out, (*rows)[0]);
		add_line(out, (*rows)[1]);
	}
}

static const char *const environment[][2] = {
	{ "ORLOP_ROOT, ORLOP_RUN, ORLOP_DRIVER",
		"As `--root`, `--run-root` and `--driver`, which win." },
	{ "ORLOP_TRACE", "Folders of the source whose steps are told on stderr: `fetch,store`, or "
			 "`all`. Never holds secrets." },
	{ "DOCKER_DEFAULT_PLATFORM", "The platform where `--platform` is not given." },
	{ "DOCKER_CONFIG, DOCKER_AUTH_CONFIG, REGISTRY_AUTH_FILE",
		"Where credentials come from; see `orlop-login`(1)." },
	{ "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY",
		"Proxies for registries, in either case." },
	{ "NO_COLOR", "Where it is set and not empty, nothing is coloured." },
	{ NULL, NULL },
};
static const char *const files[][2] = {
	{ "/var/lib/orlop", "The store, an OCI image layout that other tools can read. Rootless: "
			    "$XDG_DATA_HOME/orlop." },
	{ "/run/orlop", "Mounts and state of this boot. Rootless: $XDG_RUNTIME_DIR/orlop." },
	{ "~/.docker/config.json", "Credentials, shared with docker." },
	{ NULL, NULL },
};

int ol_man_program(ol_str *out, ol_error *err)
{
	add_head(out, "orlop",
		"pull container images, keep them, prove them, mount them and run them");
	add_synopsis(out, "", "[GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]");
	(void)ol_str_add(out, ".SH DESCRIPTION\n");
	add_line(out, "Orlop pulls images from registries into a store that can prove every byte a "
		      "container reads, mounts them for other "
		      "runtimes, and runs them. Commands, options, columns and exit statuses are "
		      "Docker's where Docker has them.\n\n"
		      "Options may stand before and after the arguments; `run` ends its options at "
		      "the image. Where several images or containers "
		      "are named, a failure with one does not keep the others from being done.");
	(void)ol_str_add(out, ".SH COMMANDS\n");
	for (ol_command_group g = OL_GROUP_IMAGES; g < OL_GROUP_HIDDEN; g++)
		add_commands(out, g);
	(void)ol_str_add(out, ".SH GLOBAL OPTIONS\n");
	for (const ol_option *o = ol_global_options(); o->name; o++)
		add_option(out, o);
	add_status(out);
	add_pairs(out, "ENVIRONMENT", environment);
	add_pairs(out, "FILES", files);
	return ol_str_error(out, err);
}

static void add_aliases(ol_str *out, const ol_command *command)
{
	if (!command->aliases || !command->aliases->words)
		return;
	(void)ol_str_add(out, ".PP\nIt may also be called ");
	for (const ol_alias *a = command->aliases; a->words; a++)
		(void)ol_str_addf(out, "%s\\fBorlop %s\\fR",
			a == command->aliases ? ""
			: a[1].words          ? ", "
					      : " or ",
			a->words);
	(void)ol_str_add(out, ".\n");
}

int ol_man_command(const ol_command *command, ol_str *out, ol_error *err)
{
	ol_autofree char *page = ol_text("orlop-%s", command->name);
	size_t count;
	ol_autofree const ol_option **options = ol_sorted_options(command, &count);
	ol_autofree char *summary = ol_strdup(command->summary);

	summary[0] = (char)tolower((unsigned char)summary[0]);
	add_head(out, page, summary);
	add_synopsis(out, command->name, command->usage);
	(void)ol_str_add(out, ".SH DESCRIPTION\n");
	add_text(out, command->summary);
	(void)ol_str_add(out, ".\n");
	if (command->description) {
		(void)ol_str_add(out, ".PP\n");
		add_line(out, command->description);
	}
	add_aliases(out, command);
	if (count)
		(void)ol_str_add(out, ".SH OPTIONS\n");
	for (size_t i = 0; i < count; i++)
		add_option(out, options[i]);
	(void)ol_str_add(out, ".PP\nThe global options are in \\fBorlop\\fR(1).\n");
	if (command->examples)
		(void)ol_str_add(out, ".SH EXAMPLES\n");
	for (const ol_example *e = command->examples; e && e->line; e++) {
		(void)ol_str_add(out, ".PP\n");
		add_text(out, e->does);
		(void)ol_str_add(out, ":\n.PP\n.RS 4\n.nf\norlop ");
		add_line(out, e->line);
		(void)ol_str_add(out, ".fi\n.RE\n");
	}
	add_status(out);
	(void)ol_str_add(out, ".SH SEE ALSO\n.BR orlop (1)\n");
	return ol_str_error(out, err);
}
