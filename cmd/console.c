#include "cmd/console.h"

#include <errno.h>
#include <langinfo.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "base/alloc.h"

/* One message: errors are shorter than 1 KiB, and safe text is at most four times as long. */
#define TEXT_BYTES_MAX ((size_t)1 << 20)

/* A terminal that understands sequences. */
static bool is_clever(bool tty)
{
	const char *term = getenv("TERM");

	return tty && term && *term && strcmp(term, "dumb") != 0;
}

static bool colours_on(bool tty)
{
	const char *no_color = getenv("NO_COLOR");

	return is_clever(tty) && !(no_color && *no_color);
}

ol_console ol_console_open(void)
{
	ol_console console = {
		.out = stdout,
		.err = stderr,
		.out_tty = isatty(STDOUT_FILENO),
		.err_tty = isatty(STDERR_FILENO),
		.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
	};

	console.out_colour = colours_on(console.out_tty);
	console.err_bars = is_clever(console.err_tty);
	console.err_colour = colours_on(console.err_tty);
	return console;
}

unsigned ol_console_columns(int fd, unsigned otherwise)
{
	struct winsize size = { 0 };

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : otherwise;
}

unsigned ol_console_lines(int fd, unsigned otherwise)
{
	struct winsize size = { 0 };

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : otherwise;
}

/* Safe for a terminal, but with its lines and columns left as they are. */
static size_t write_safe(FILE *file, ol_view text)
{
	ol_auto_str ol_str safe = OL_STR(8 * text.size + 1);
	size_t start = 0;

	for (size_t i = 0; i <= text.size; i++) {
		if (i < text.size && text.data[i] != '\n' && text.data[i] != '\t')
			continue;
		(void)ol_str_add_safe(&safe, ol_view_from(text.data + start, i - start));
		if (i < text.size)
			(void)ol_str_addc(&safe, text.data[i]);
		start = i + 1;
	}
	return safe.size == fwrite(ol_str_text(&safe), 1, safe.size, file) ? text.size : 0;
}

void ol_console_print_view(ol_console *console, ol_view text)
{
	size_t done;

	if (text.size == 0)
		return;
	errno = 0;
	done = console->out_tty ? write_safe(console->out, text)
				: fwrite(text.data, 1, text.size, console->out);
	if (done != text.size && !console->out_errno)
		console->out_errno = errno ? errno : EIO;
}

void ol_console_print(ol_console *console, const char *text)
{
	ol_console_print_view(console, ol_view_of(text));
}

void ol_console_printf(ol_console *console, const char *fmt, ...)
{
	ol_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	ol_console_print(console, text);
}

int ol_console_close(ol_console *console, ol_error *err)
{
	errno = 0;
	if (fflush(console->out) != 0 && !console->out_errno)
		console->out_errno = errno ? errno : EIO;
	if (!console->out_errno)
		return OL_OK;
	errno = console->out_errno;
	return ol_fail_sys(err, "cannot write the output");
}

static void say_line(ol_console *console, const char *colour, const char *word, const char *text)
{
	ol_auto_str ol_str line = OL_STR(TEXT_BYTES_MAX);

	(void)ol_str_addf(&line, "%s%s:%s ", console->err_colour ? colour : "", word,
		ol_plain(console->err_colour));
	(void)ol_str_add_safe(&line, ol_view_of(text));
	(void)ol_str_addc(&line, '\n');
	/* One write: lines of several processes do not mix. */
	(void)fwrite(ol_str_text(&line), 1, line.size, console->err);
	(void)fflush(console->err);
}

void ol_console_error(ol_console *console, const ol_error *err)
{
	say_line(console, "\033[1;31m", "orlop", err->text);
	if (err->hint[0])
		say_line(console, "\033[36m", "hint", err->hint);
}

void ol_console_say(ol_console *console, const char *word, const char *fmt, ...)
{
	ol_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	say_line(console, strcmp(word, "warning") == 0 ? "\033[33m" : "\033[36m", word, text);
}

const char *ol_bold(bool colour)
{
	return colour ? "\033[1m" : "";
}

const char *ol_dim(bool colour)
{
	return colour ? "\033[2m" : "";
}

const char *ol_plain(bool colour)
{
	return colour ? "\033[0m" : "";
}
