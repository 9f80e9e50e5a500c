#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <termios.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "cmd/registry_options.h"
#include "image/upkeep.h"

/* Tokens are long, but none is longer than the replies they come in. */
#define SECRET_BYTES_MAX 8192

/* Wiped, whatever happens. */
typedef struct secret {
	char text[SECRET_BYTES_MAX];
} secret;

static void secret_done(secret *s)
{
	explicit_bzero(s, sizeof *s);
}

/* Bytes from stdin; *got == 0 at the end. Ctrl-C at a prompt must not leave a terminal behind that
 * shows nothing. */
static int read_some(const ol_cancel *cancel, char *out, size_t size, size_t *got, ol_error *err)
{
	struct pollfd waits[] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = ol_cancel_fd(cancel), .events = POLLIN } };
	ssize_t count;

	do {
		if (poll(waits, 2, -1) < 0 && errno != EINTR)
			return ol_fail_sys(err, "stdin");
		if (ol_cancel_check(cancel, err) < 0)
			return OL_ECANCELED;
		count = waits[0].revents ? read(STDIN_FILENO, out, size) : -1;
	} while (count < 0 && (!waits[0].revents || errno == EINTR));
	if (count < 0)
		return ol_fail_sys(err, "stdin");
	*got = (size_t)count;
	return OL_OK;
}

/* A line, or all of it, from stdin without its last line end. No stdio: its buffer would keep a
 * copy. */
static int read_secret(const ol_cancel *cancel, bool line, char *out, size_t size, ol_error *err)
{
	size_t used = 0, got = 1;

	while (got && !(line && used && out[used - 1] == '\n')) {
		int rc;

		if (used == size)
			return ol_fail(err, OL_ELIMIT, "what stdin has is longer than %zu bytes",
				size - 1);
		rc = read_some(cancel, out + used, line ? 1 : size - used, &got, err);
		if (rc < 0)
			return rc;
		used += got;
	}
	if (used && out[used - 1] == '\n')
		used--;
	if (used && out[used - 1] == '\r')
		used--;
	if (used == size)
		return ol_fail(err, OL_ELIMIT, "what stdin has is longer than %zu bytes", size - 1);
	out[used] = '\0';
	return strlen(out) == used ? OL_OK : ol_fail(err, OL_EINVAL, "what stdin has is not text");
}

/* Asks on the terminal; the answer is not shown where hidden. */
static int ask(const ol_cancel *cancel, const char *question, bool hidden, char *out, size_t size,
	ol_error *err)
{
	struct termios before, silent;
	int rc;

	if (!isatty(STDIN_FILENO)) {
		ol_fail(err, OL_EINVAL, "cannot ask for credentials: stdin is not a terminal");
		return ol_hint(err, OL_EINVAL,
			"say --username, and give the password to --password-stdin");
	}
	(void)fprintf(stderr, "%s: ", question);
	(void)fflush(stderr);
	if (!hidden)
		return read_secret(cancel, true, out, size, err);
	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return ol_fail_sys(err, "terminal");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) < 0)
		return ol_fail_sys(err, "terminal");
	rc = read_secret(cancel, true, out, size, err);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	(void)fputc('\n', stderr);
	return rc;
}

static int credentials(ol_context *ctx, secret *user, secret *password, ol_error *err)
{
	const char *given_user = ol_args_text(ctx->args, "username"),
		   *given = ol_args_text(ctx->args, "password");
	bool from_stdin = ol_args_flag(ctx->args, "password-stdin");
	int rc = OL_OK;

	if (given && from_stdin)
		return ol_fail(
			err, OL_EINVAL, "--password and --password-stdin exclude each other");
	if (from_stdin && !given_user)
		return ol_fail(err, OL_EINVAL, "--password-stdin needs --username");
	if ((given_user && strlen(given_user) >= sizeof user->text) ||
		(given && strlen(given) >= sizeof password->text))
		return ol_fail(err, OL_ELIMIT, "a name or password longer than %zu bytes",
			sizeof user->text - 1);
	if (given)
		ol_console_say(ctx->console, "warning",
			"a --password can be seen by others on this machine: use --password-stdin");
	if (given_user)
		(void)snprintf(user->text, sizeof user->text, "%s", given_user);
	else
		rc = ask(ctx->cancel, "Username", false, user->text, sizeof user->text, err);
	if (rc == OL_OK && !*user->text)
		rc = ol_fail(err, OL_EINVAL, "a username is needed");
	if (rc < 0)
		return rc;
	if (given)
		(void)snprintf(password->text, sizeof password->text, "%s", given);
	else if (from_stdin)
		rc = read_secret(ctx->cancel, false, password->text, sizeof password->text, err);
	else
		rc = ask(ctx->cancel, "Password", true, password->text, sizeof password->text, err);
	if (rc == OL_OK && !*password->text)
		rc = ol_fail(err, OL_EINVAL, "a password is needed");
	return rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	const char *host = ol_args_word(ctx->args, 0) ? ol_args_word(ctx->args, 0) : "docker.io";
	__attribute__((cleanup(secret_done))) secret user = { "" }, password = { "" };
	ol_autofree char *where = NULL;
	ol_session *session = NULL;
	int rc = credentials(ctx, &user, &password, err);

	if (rc == OL_OK)
		rc = ol_context_session(ctx, &session, err);
	if (rc == OL_OK)
		rc = ol_login(session, host, user.text, password.text, &where, err);
	if (rc < 0)
		return rc;
	ol_console_say(ctx->console, "note", "the credentials are kept in %s", where);
	ol_console_print(ctx->console, "Login Succeeded\n");
	return OL_OK;
}

static const ol_option options[] = {
	{ .name = "username",
		.letter = 'u',
		.kind = OL_OPTION_TEXT,
		.value = "NAME",
		.help = "User name",
		.otherwise = "asked for" },
	{ .name = "password-stdin",
		.kind = OL_OPTION_FLAG,
		.help = "Read the password from stdin" },
	{ .name = "password",
		.letter = 'p',
		.kind = OL_OPTION_TEXT,
		.value = "PASSWORD",
		.help = "Password: others on this machine can see it",
		.otherwise = "asked for" },
	OL_TRANSPORT_OPTIONS,
	{ 0 },
};

const ol_command ol_command_login = {
	.name = "login",
	.group = OL_GROUP_REGISTRY,
	.usage = "[OPTIONS] [HOST]",
	.summary = "Check and keep credentials for a registry",
	.description = "Without HOST that is Docker Hub. The credentials are tried first. They are "
		       "written to the authfile if one is set (`--authfile`, "
		       "REGISTRY_AUTH_FILE), else to docker's configuration ($DOCKER_CONFIG or "
		       "~/.docker), or to the credential helper configured there.",
	.options = { options },
	.examples = (const ol_example[]){ { "login registry.example",
						  "asks for name and password" },
		{ "login -u ci --password-stdin registry.example < token", "from a file" }, { 0 } },
	.words_max = 1,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
