#include "cmd/program.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cmd/command.h"
#include "cmd/exit_status.h"
#include "cmd/help.h"
#include "cmd/output_option.h"

/* A signal handler has no other way to what it must reach: the one piece of global state, set once
 * before any handler is. */
static ol_cancel *volatile interrupted;

/* The first Ctrl-C asks for a clean stop, the second does not wait for it. */
static void on_interrupt(int signal_number)
{
	(void)signal_number;
	if (ol_cancel_fired(interrupted))
		_exit(130);
	ol_cancel_fire(interrupted);
}

/* Not SIG_IGN, which programs started from here would inherit: a write to a closed pipe or socket
 * fails with EPIPE. */
static void on_pipe(int signal_number)
{
	(void)signal_number;
}

static void catch (int signal_number, void (*handler)(int))
{
	struct sigaction old, action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	/* What was ignored stays so: nohup, and jobs of a shell without job control. */
	if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return;
	(void)sigaction(signal_number, &action, NULL);
}

/* argv without the words of the command, which options may stand before and after. */
typedef struct line {
	const ol_command *command;
	char **argv; /* owned; strings lent */
	int count;
} line;

static bool is_group(const char *word)
{
	size_t size = strlen(word);

	for (const ol_command *const *c = ol_commands(); *c; c++)
		for (const ol_alias *a = (*c)->aliases; a && a->words; a++)
			if (strncmp(a->words, word, size) == 0 && a->words[size] == ' ')
				return true;
	return false;
}

static int unknown_command(char *const *words, int count, const char *nearest, ol_error *err)
{
	bool group = count > 1 && is_group(words[0]);

	ol_fail(err, OL_EINVAL, "unknown command: orlop %s%s%s", words[0], group ? " " : "",
		group ? words[1] : "");
	if (nearest)
		return ol_hint(err, OL_EINVAL, "did you mean `orlop %s`?", nearest);
	return ol_hint(err, OL_EINVAL, "`orlop help` lists the commands");
}

static int find_line(int argc, char **argv, int first, line *out, ol_error *err)
{
	const char *implied, *nearest;
	int used;

	out->command = ol_command_find(argv + first, argc - first, &used, &implied, &nearest);
	if (!out->command)
		return unknown_command(argv + first, argc - first, nearest, err);
	out->argv = ol_alloc_array((size_t)argc + 2, sizeof *out->argv);
	for (int i = 1; i < first; i++)
		if (strcmp(argv[i], "--") != 0)
			out->argv[out->count++] = argv[i];
	if (implied)
		out->argv[out->count++] = (char *)(uintptr_t)implied;
	for (int i = first + used; i < argc; i++)
		out->argv[out->count++] = argv[i];
	return OL_OK;
}

static int check_words(const ol_command *command, const ol_args *args, ol_error *err)
{
	size_t count = ol_args_word_count(args);

	if (count < command->words_min)
		ol_fail(err, OL_EINVAL, "'orlop %s' requires %s %u argument%s", command->name,
			command->words_many || command->words_max > command->words_min ? "at least"
										       : "exactly",
			command->words_min, command->words_min == 1 ? "" : "s");
	else if (!command->words_many && count > command->words_max && command->words_max == 0)
		ol_fail(err, OL_EINVAL, "'orlop %s' accepts no arguments", command->name);
	else if (!command->words_many && count > command->words_max)
		ol_fail(err, OL_EINVAL, "'orlop %s' requires %s %u argument%s", command->name,
			command->words_max > command->words_min ? "at most" : "exactly",
			command->words_max, command->words_max == 1 ? "" : "s");
	else
		return OL_OK;
	return ol_hint(err, OL_EINVAL, "usage: orlop %s %s", command->name, command->usage);
}

/* stdout is not free for lines of JSON: it is the container's, or the archive's (--output). */
static bool stdout_is_taken(const ol_command *command, const ol_args *args)
{
	return command->starts_program || ol_output_is_stdout(args);
}

static ol_progress *progress_for(
	const ol_command *command, const ol_args *args, ol_console *console)
{
	ol_progress_mode mode = OL_PROGRESS_AUTO;

	if (ol_args_knows(args, "progress")) {
		mode = ol_progress_mode_of(ol_args_text(args, "progress"));
		if (ol_args_flag(args, "quiet"))
			mode = OL_PROGRESS_NONE;
	}
	return ol_progress_new(console, mode,
		mode == OL_PROGRESS_JSON && !stdout_is_taken(command, args) ? console->out
									    : console->err);
}

/* The command's failure, in words; and for those who read JSON, as a line of it. */
static void tell_failure(ol_context *ctx, const ol_error *err)
{
	if (ol_progress_is_json(ctx->progress)) {
		ol_json *told = ol_json_object();

		ol_json_set_text(told, "text", err->text);
		if (err->hint[0])
			ol_json_set_text(told, "hint", err->hint);
		ol_progress_line(ctx->progress, "error", told);
	}
	ol_console_error(ctx->console, err);
}

/* Before anything has a thread or an open file of the store. */
static int enter_userns(ol_context *ctx, ol_error *err)
{
	const ol_command *command = ctx->command;
	bool mounts = command->leaves_mounts && ol_args_word_count(ctx->args) > 0;
	int rc;

	if (geteuid() == 0 || command->userns == OL_USERNS_STAYS ||
		(command->leaves_mounts && !mounts))
		return OL_OK;
	if (mounts) {
		(void)ol_fail(err, OL_EUNSUPPORTED,
			"without root a mount is seen by nobody but the processes of one user "
			"namespace, and would end with this command");
		return ol_hint(err, OL_EUNSUPPORTED,
			"`orlop unshare` starts a shell in such a namespace: run `orlop %s` there",
			command->name);
	}
	rc = ol_userns_enter(&ctx->userns, err);
	ctx->entered = rc == OL_OK;
	if (rc < 0 && command->userns == OL_USERNS_TRIES) {
		(void)snprintf(ctx->userns.why, sizeof ctx->userns.why, "%.*s",
			(int)sizeof ctx->userns.why - 1, err->text);
		return OL_OK;
	}
	return rc;
}

static int run_command(const line *l, ol_console *console, ol_error *err)
{
	const ol_command *command = l->command;
	ol_tables tables = ol_command_tables(command);
	const ol_grammar grammar = {
		.tables = tables.tables, .options_end = command->options_end, .h_is_help = true
	};
	ol_auto(ol_args_free) ol_args *args = NULL;
	ol_auto(ol_progress_free) ol_progress *progress = NULL;
	ol_context ctx = { .command = command, .console = console, .cancel = interrupted };
	int rc = ol_args_parse(&grammar, l->count, l->argv, &args, err);

	if (rc < 0) {
		(void)ol_hint(err, rc, "`orlop %s --help` shows what there is", command->name);
		ol_console_error(console, err);
		return OL_STATUS_USAGE;
	}
	if (ol_args_flag(args, "help")) {
		ol_help_command(console, command);
		return 0;
	}
	rc = check_words(command, args, err);
	if (rc < 0) {
		ol_console_error(console, err);
		return 1;
	}
	if (ol_args_flag(args, "debug"))
		(void)setenv("ORLOP_TRACE", "all", 0);
	ctx.args = args;
	rc = enter_userns(&ctx, err);
	ctx.progress = progress = progress_for(command, args, console);
	if (rc == OL_OK)
		rc = command->run(&ctx, err);
	ol_session_warn(ctx.session);
	ol_progress_finish(progress);
	if (rc < 0)
		tell_failure(&ctx, err);
	ol_session_close(ctx.session);
	return rc < 0 ? ol_exit_status(rc, command->starts_program) : ctx.status;
}

/* Options before the command; *first is the command's place in argv, argc if there is none. */
static int before_command(int argc, char **argv, int *first, ol_args **out, ol_error *err)
{
	static const ol_option top[] = {
		{ .name = "version",
			.letter = 'v',
			.kind = OL_OPTION_FLAG,
			.help = "Show the version and exit" },
		{ 0 },
	};
	const ol_option *tables[3] = { top, ol_global_options(), NULL };
	const ol_grammar grammar = { .tables = tables, .options_end = 1, .h_is_help = true };
	int rc;

	rc = ol_args_parse(&grammar, argc - 1, argv + 1, out, err);
	if (rc == OL_OK)
		*first = argc - (int)ol_args_word_count(*out);
	return rc;
}

static int run_line(int argc, char **argv, ol_console *console)
{
	ol_auto(ol_args_free) ol_args *args = NULL;
	ol_error err = { 0 };
	line l = { 0 };
	int first = argc, rc = before_command(argc, argv, &first, &args, &err), status;

	if (rc < 0) {
		(void)ol_hint(&err, rc, "`orlop help` shows what there is");
		ol_console_error(console, &err);
		return OL_STATUS_USAGE;
	}
	if (ol_args_flag(args, "version")) {
		ol_console_print(console, "orlop version " ORLOP_VERSION "\n");
		return 0;
	}
	if (first == argc || (ol_args_flag(args, "help") && first == argc) ||
		(first == argc - 1 && is_group(argv[first]) && !ol_args_flag(args, "help"))) {
		ol_help_program(console, first < argc ? argv[first] : NULL);
		return 0;
	}
	rc = find_line(argc, argv, first, &l, &err);
	if (rc < 0) {
		ol_console_error(console, &err);
		return 1;
	}
	status = run_command(&l, console, &err);
	free(l.argv);
	return status;
}

/* How much of a word begins an option whose value is a secret: "--creds", "--src-creds=…"; 0: none.
 */
static size_t secret_option(const char *word)
{
	static const char *const names[] = { "--creds", "--src-creds", "--dest-creds" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t size = strlen(names[i]);

		if (strncmp(word, names[i], size) == 0 && (!word[size] || word[size] == '='))
			return size;
	}
	return 0;
}

/* Our own copy of the words; what other users can see of them in the process list keeps
 * no secret. */
static char **take_words(int argc, char **argv)
{
	char **words = ol_alloc_array((size_t)argc + 1, sizeof *words);
	bool secret = false;

	for (int i = 0; i < argc; i++) {
		size_t shown = secret ? 0 : strlen(argv[i]);

		words[i] = ol_strdup(argv[i]);
		if (secret_option(words[i]) && words[i][secret_option(words[i])])
			shown = secret_option(words[i]) + 1;
		memset(argv[i] + shown, 'x', strlen(argv[i]) - shown);
		secret = secret_option(words[i]) && !words[i][secret_option(words[i])];
	}
	return words;
}

static void free_words(char **words)
{
	for (char **word = words; *word; word++)
		free(*word);
	free(words);
}

/* A stream that is closed would be the next file that is opened, the database say, and what is
 * meant for people would go there. Opened like this it cannot be read or written, as if it were
 * closed. */
static void hold_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int ol_program_main(int argc, char **argv)
{
	ol_auto(ol_cancel_free) ol_cancel *cancel = NULL;
	char **words = take_words(argc, argv);
	ol_console console;
	ol_error err = { 0 };
	int status;

	hold_standard_streams();
	cancel = ol_cancel_new();
	(void)setlocale(LC_CTYPE, "");
	console = ol_console_open();
	interrupted = cancel;
	catch (SIGINT, on_interrupt);
	catch (SIGTERM, on_interrupt);
	catch (SIGPIPE, on_pipe);
	status = run_line(argc, words, &console);
	free_words(words);
	if (ol_console_close(&console, &err) < 0) {
		if (err.sys == EPIPE) {
			/* Nobody reads: end as a program does that knows nothing of pipes. */
			(void)signal(SIGPIPE, SIG_DFL);
			(void)raise(SIGPIPE);
		}
		ol_console_error(&console, &err);
		status = status ? status : 1;
	}
	/* From here on a signal may come too late, never to freed memory. */
	catch (SIGINT, SIG_DFL);
	catch (SIGTERM, SIG_DFL);
	return status;
}
