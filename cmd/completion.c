#include "cmd/completion.h"

#include "base/alloc.h"
#include "cmd/command.h"
#include "cmd/help.h"

/* What the words of a command are, as the name of a helper that all three scripts define. */
static const char *helper_of(ol_completes completes)
{
	static const char *const helpers[] = {
		[OL_COMPLETES_NOTHING] = NULL,
		[OL_COMPLETES_IMAGES] = "images",
		[OL_COMPLETES_CONTAINERS] = "containers",
		[OL_COMPLETES_BOTH] = "both",
		[OL_COMPLETES_MOUNTS] = "mounts",
		[OL_COMPLETES_COMMANDS] = "commands",
	};

	return helpers[completes];
}

static bool is_shown(const ol_command *command)
{
	return command->group != OL_GROUP_HIDDEN;
}

static void add_choices(ol_str *out, const char *choices)
{
	for (; *choices; choices++)
		(void)ol_str_addc(out, (char)(*choices == '|' ? ' ' : *choices));
}

static void add_command_names(ol_str *out)
{
	bool first = true;

	for (const ol_command *const *c = ol_commands(); *c; c++)
		if (is_shown(*c)) {
			(void)ol_str_addf(out, "%s%s", first ? "" : " ", (*c)->name);
			first = false;
		}
}

/* A command's options and the global ones, one after the other; owned (free). */
static const ol_option **all_options(const ol_command *command, size_t *count)
{
	const ol_option **list = command ? ol_sorted_options(command, count) : NULL;
	size_t cap = command ? *count : 0;

	*count = cap;
	for (const ol_option *o = ol_global_options(); o->name; o++) {
		if (*count == cap) {
			cap += 16;
			list = ol_realloc_array(list, cap, sizeof(const ol_option *));
		}
		list[(*count)++] = o;
	}
	return list;
}

/* --- helpers: how to list what there is, the same commands in each shell --- */

static const char list_images[] =
	"orlop images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null | grep -v '<none>'";
static const char list_containers[] = "orlop ps --all --format '{{.Names}}' 2>/dev/null";
static const char list_mounts[] = "orlop mounts -q 2>/dev/null";

static void add_helpers(ol_str *out)
{
	(void)ol_str_addf(out, "__orlop_images() { %s; }\n", list_images);
	(void)ol_str_addf(out, "__orlop_containers() { %s; }\n", list_containers);
	(void)ol_str_addf(out, "__orlop_mounts() { %s; }\n", list_mounts);
	(void)ol_str_add(out, "__orlop_both() { __orlop_containers; __orlop_images; }\n");
	(void)ol_str_add(out, "__orlop_commands() { printf '%s\\n' ");
	add_command_names(out);
	(void)ol_str_add(out, "; }\n");
}

/* --- bash --- */

static void bash_values(ol_str *out, const ol_option *option)
{
	(void)ol_str_addf(out, "\t\t--%s", option->name);
	if (option->letter)
		(void)ol_str_addf(out, " | -%c", option->letter);
	if (option->choices) {
		(void)ol_str_add(out, ") COMPREPLY=($(compgen -W '");
		add_choices(out, option->choices);
		(void)ol_str_add(out, "' -- \"$cur\")) ;;\n");
	} else if (option->completes) {
		(void)ol_str_addf(out, ") COMPREPLY=($(compgen -%c -- \"$cur\")) ;;\n",
			strcmp(option->completes, "dir") == 0 ? 'd' : 'f');
	} else {
		(void)ol_str_add(out, ") ;;\n");
	}
}

static void bash_command(ol_str *out, const ol_command *command)
{
	size_t count;
	ol_autofree const ol_option **list = all_options(command, &count);

	if (command)
		(void)ol_str_addf(out, "\t%s)\n", command->name);
	else
		(void)ol_str_add(out, "\t'')\n");
	(void)ol_str_add(out, "\t\tcase $prev in\n");
	for (size_t i = 0; i < count; i++)
		if (list[i]->kind != OL_OPTION_FLAG)
			bash_values(out, list[i]);
	(void)ol_str_add(out, "\t\t*) plain=1 ;;\n\t\tesac\n\t\toptions='");
	for (size_t i = 0; i < count; i++)
		(void)ol_str_addf(out, "%s--%s", i ? " " : "", list[i]->name);
	(void)ol_str_addf(out, "'\n\t\twords=%s\n\t\t;;\n",
		!command                        ? "commands"
		: helper_of(command->completes) ? helper_of(command->completes)
						: "''");
}

static void bash_script(ol_str *out)
{
	(void)ol_str_add(out, "# bash completion for orlop, made by `orlop completion bash`\n");
	add_helpers(out);
	(void)ol_str_add(out, "_orlop() {\n"
			      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} "
			      "prev=${COMP_WORDS[COMP_CWORD-1]} command= plain= options= words= i\n"
			      "\tlocal -a line=(\"${COMP_WORDS[@]}\") \n"
			      "\tlocal at=$COMP_CWORD\n"
			      "\tif declare -F _get_comp_words_by_ref >/dev/null; then\n"
			      "\t\t_get_comp_words_by_ref -n =: -c cur -p prev -w line -i at\n"
			      "\tfi\n"
			      "\tCOMPREPLY=()\n"
			      "\tfor ((i = 1; i < at; i++)); do\n"
			      "\t\tcase ${line[i]} in\n"
			      "\t\t--root | --run-root | --driver) ((i++)) ;;\n"
			      "\t\t-*) ;;\n"
			      "\t\t*) command=${line[i]}; break ;;\n"
			      "\t\tesac\n"
			      "\tdone\n"
			      "\tcase $command in\n");
	bash_command(out, NULL);
	for (const ol_command *const *c = ol_commands(); *c; c++)
		if (is_shown(*c))
			bash_command(out, *c);
	(void)ol_str_add(out, "\tesac\n"
			      "\t[[ -n $plain ]] || return 0\n"
			      "\tif [[ $cur == -* ]]; then\n"
			      "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
			      "\telif [[ -n $words ]]; then\n"
			      "\t\tCOMPREPLY=($(compgen -W \"$(__orlop_$words)\" -- \"$cur\"))\n"
			      "\t\tif declare -F __ltrim_colon_completions >/dev/null; then "
			      "__ltrim_colon_completions \"$cur\"; fi\n"
			      "\telse\n"
			      "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
			      "\tfi\n"
			      "}\n"
			      "complete -F _orlop orlop\n");
}

/* --- zsh --- */

/* Text inside '…[help]…' of _arguments. */
static void zsh_text(ol_str *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			(void)ol_str_add(out, "'\\''");
		else if (strchr("[]:\\`$", *text))
			(void)ol_str_addf(out, "\\%c", *text);
		else
			(void)ol_str_addc(out, *text);
	}
}

static void zsh_option(ol_str *out, const ol_option *option)
{
	const char *many = option->kind == OL_OPTION_LIST ? "*" : "";

	(void)ol_str_add(out, " \\\n\t\t\t");
	if (option->letter && *many)
		(void)ol_str_addf(out, "'*'{-%c,--%s", option->letter, option->name);
	else if (option->letter)
		(void)ol_str_addf(out, "'(-%c --%s)'{-%c,--%s", option->letter, option->name,
			option->letter, option->name);
	else
		(void)ol_str_addf(out, "'%s--%s", many, option->name);
	if (option->letter)
		(void)ol_str_addf(out, "%s}'[", option->kind == OL_OPTION_FLAG ? "" : "=");
	else
		(void)ol_str_addf(out, "%s[", option->kind == OL_OPTION_FLAG ? "" : "=");
	zsh_text(out, option->help);
	(void)ol_str_addc(out, ']');
	if (option->value) {
		(void)ol_str_addc(out, ':');
		zsh_text(out, option->value);
		(void)ol_str_addc(out, ':');
		if (option->choices) {
			(void)ol_str_addc(out, '(');
			add_choices(out, option->choices);
			(void)ol_str_addc(out, ')');
		} else if (option->completes) {
			(void)ol_str_add(out,
				strcmp(option->completes, "dir") == 0 ? "_files -/" : "_files");
		} else {
			(void)ol_str_addc(out, ' ');
		}
	}
	(void)ol_str_addc(out, '\'');
}

static void zsh_command(ol_str *out, const ol_command *command)
{
	size_t count;
	ol_autofree const ol_option **list = all_options(command, &count);
	const char *helper = helper_of(command->completes);

	(void)ol_str_addf(out, "\t%s)\n\t\t_arguments -s", command->name);
	for (size_t i = 0; i < count; i++)
		zsh_option(out, list[i]);
	if (helper)
		(void)ol_str_addf(out,
			" \\\n\t\t\t'*:%s:{ local -a found=(${(f)\"$(__orlop_%s)\"}); compadd -a "
			"found }'",
			helper, helper);
	else
		(void)ol_str_add(out, " \\\n\t\t\t'*:file:_files'");
	(void)ol_str_add(out, "\n\t\t;;\n");
}

static void zsh_script(ol_str *out)
{
	(void)ol_str_add(out,
		"#compdef orlop\n# zsh completion for orlop, made by `orlop completion zsh`\n");
	add_helpers(out);
	(void)ol_str_add(out, "_orlop() {\n\tlocal curcontext=$curcontext state line\n\ttypeset -A "
			      "opt_args\n\t_arguments -C");
	for (const ol_option *o = ol_global_options(); o->name; o++)
		zsh_option(out, o);
	(void)ol_str_add(out, " \\\n\t\t\t'1: :->command' '*:: :->arguments'\n"
			      "\tif [[ $state == command ]]; then\n\t\tlocal -a commands=(\n");
	for (const ol_command *const *c = ol_commands(); *c; c++)
		if (is_shown(*c)) {
			(void)ol_str_addf(out, "\t\t\t'%s:", (*c)->name);
			zsh_text(out, (*c)->summary);
			(void)ol_str_add(out, "'\n");
		}
	(void)ol_str_add(out,
		"\t\t)\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tcase $line[1] in\n");
	for (const ol_command *const *c = ol_commands(); *c; c++)
		if (is_shown(*c))
			zsh_command(out, *c);
	(void)ol_str_add(out, "\tesac\n}\n"
			      "if [[ $funcstack[1] == _orlop ]]; then _orlop \"$@\"; else compdef "
			      "_orlop orlop; fi\n");
}

/* --- fish --- */

/* 'text' for fish. */
static void fish_text(ol_str *out, const char *text)
{
	(void)ol_str_addc(out, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			(void)ol_str_addc(out, '\\');
		(void)ol_str_addc(out, *text);
	}
	(void)ol_str_addc(out, '\'');
}

static void fish_option(ol_str *out, const ol_option *option, const char *condition)
{
	(void)ol_str_addf(out, "complete -c orlop%s", condition);
	if (option->letter)
		(void)ol_str_addf(out, " -s %c", option->letter);
	(void)ol_str_addf(out, " -l %s", option->name);
	if (option->choices) {
		(void)ol_str_add(out, " -x -a '");
		add_choices(out, option->choices);
		(void)ol_str_addc(out, '\'');
	} else if (option->completes) {
		(void)ol_str_add(out, strcmp(option->completes, "dir") == 0
					      ? " -x -a '(__fish_complete_directories)'"
					      : " -r -F");
	} else if (option->value) {
		(void)ol_str_add(out, " -x");
	}
	(void)ol_str_add(out, " -d ");
	fish_text(out, option->help);
	(void)ol_str_addc(out, '\n');
}

static void fish_script(ol_str *out)
{
	(void)ol_str_add(out, "# fish completion for orlop, made by `orlop completion fish`\n");
	(void)ol_str_addf(out, "function __orlop_images; %s; end\n", list_images);
	(void)ol_str_addf(out, "function __orlop_containers; %s; end\n", list_containers);
	(void)ol_str_addf(out, "function __orlop_mounts; %s; end\n", list_mounts);
	(void)ol_str_add(out, "function __orlop_both; __orlop_containers; __orlop_images; end\n"
			      "function __orlop_commands; string split ' ' '");
	add_command_names(out);
	(void)ol_str_add(out, "'; end\ncomplete -c orlop -f\n");
	for (const ol_option *o = ol_global_options(); o->name; o++)
		fish_option(out, o, "");
	for (const ol_command *const *c = ol_commands(); *c; c++) {
		ol_autofree char *condition =
			ol_text(" -n '__fish_seen_subcommand_from %s'", (*c)->name);
		const char *helper = helper_of((*c)->completes);
		size_t count;
		ol_autofree const ol_option **list = ol_sorted_options(*c, &count);

		if (!is_shown(*c))
			continue;
		(void)ol_str_addf(
			out, "complete -c orlop -n __fish_use_subcommand -a %s -d ", (*c)->name);
		fish_text(out, (*c)->summary);
		(void)ol_str_addc(out, '\n');
		if (helper)
			(void)ol_str_addf(
				out, "complete -c orlop%s -a '(__orlop_%s)'\n", condition, helper);
		for (size_t i = 0; i < count; i++)
			fish_option(out, list[i], condition);
	}
}

int ol_completion_script(const char *shell, ol_str *out, ol_error *err)
{
	static const struct {
		const char *shell;
		void (*script)(ol_str *out);
	} scripts[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
		if (strcmp(scripts[i].shell, shell) == 0) {
			scripts[i].script(out);
			return ol_str_error(out, err);
		}
	ol_fail(err, OL_EINVAL, "no completion for \"%s\"", shell);
	return ol_hint(err, OL_EINVAL, "there is bash, zsh and fish");
}
