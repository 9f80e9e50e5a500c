#include "cmd/progress.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/progress_model.h"

#define FRAME_MS 100 /* ten frames a second */
/* What waits to be written: past it, lines that only count are left out. A reader of a pipe that
 * never reads costs no more. */
#define PENDING_BYTES_MAX ((size_t)1 << 20)
#define FRAME_BYTES_MAX   ((size_t)256 << 10)

struct ol_progress {
	ol_console *console; /* lent */
	ol_progress_mode mode;
	ol_progress_verb verb;
	bool bars;
	FILE *stream;         /* lent */
	uint64_t start_ms;    /* of the command: times are told from here */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	pthread_t thread;
	bool running; /* the thread is there, and nobody is ending it */
	bool stop;
	ol_progress_model model;
	ol_str pending; /* lines to be written, above the bars where there are bars */
	ol_str frame;   /* the thread's alone: the frame on the screen */
};

static void write_out(ol_progress *p, const ol_str *text)
{
	if (text->size)
		(void)fwrite(text->data, 1, text->size, p->stream);
	(void)fflush(p->stream);
}

/* Takes what is pending, and the frame of now; written without the lock. */
static void draw(ol_progress *p, bool last)
{
	ol_auto_str ol_str out = OL_STR(PENDING_BYTES_MAX + 2 * FRAME_BYTES_MAX),
			   frame = OL_STR(FRAME_BYTES_MAX);
	int fd = fileno(p->stream);
	ol_screen screen = { .colour = p->console->err_colour, .utf8 = p->console->utf8 };
	ol_str pending;
	bool same;

	if (p->bars) {
		screen.columns = ol_console_columns(fd, 80);
		screen.lines = ol_console_lines(fd, 24);
	}
	pthread_mutex_lock(&p->lock);
	pending = p->pending;
	p->pending = (ol_str)OL_STR(PENDING_BYTES_MAX);
	ol_progress_tick(&p->model, ol_now_ms());
	if (p->bars)
		ol_progress_draw(&p->model, &screen, ol_now_ms(), last, &frame);
	pthread_mutex_unlock(&p->lock);

	same = frame.size == p->frame.size &&
	       (!frame.size || memcmp(frame.data, p->frame.data, frame.size) == 0);
	if (pending.size || !same || last) {
		unsigned rows =
			p->bars ? ol_progress_rows(ol_buf_view(&p->frame), screen.columns) : 0;

		/* Up to where the last frame began; what is longer there is cleared as it is
		 * overwritten. */
		if (rows)
			(void)ol_str_addf(&out, "\r\033[%uA\033[J", rows);
		(void)ol_str_addv(&out, ol_buf_view(&pending));
		(void)ol_str_addv(&out, ol_buf_view(&frame));
		write_out(p, &out);
		ol_buf_done(&p->frame);
		p->frame = (ol_str)OL_STR(FRAME_BYTES_MAX);
		if (!last)
			(void)ol_str_addv(&p->frame, ol_buf_view(&frame));
	}
	ol_buf_done(&pending);
}

static void *run(void *ctx)
{
	ol_progress *p = ctx;
	bool stop = false;

	while (!stop) {
		struct timespec until;

		draw(p, false);
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (long)FRAME_MS * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_mutex_lock(&p->lock);
		while (!p->stop && pthread_cond_timedwait(&p->wake, &p->lock, &until) == 0)
			continue;
		stop = p->stop;
		pthread_mutex_unlock(&p->lock);
	}
	draw(p, true);
	return NULL;
}

/* Under the lock. Without a thread nothing is drawn before finish, which draws by itself. */
static void start(ol_progress *p)
{
	if (p->running || p->stop)
		return;
	p->running = pthread_create(&p->thread, NULL, run, p) == 0;
}

/* Nothing is known yet. */
static void begin(ol_progress *p)
{
	ol_progress_model_done(&p->model);
	p->model.start_ms = p->start_ms;
	p->model.verb = p->verb;
}

void ol_progress_finish(ol_progress *p)
{
	bool mine;

	pthread_mutex_lock(&p->lock);
	mine = p->running;
	if (mine) {
		p->running = false;
		p->stop = true;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	if (mine)
		(void)pthread_join(p->thread, NULL);
	pthread_mutex_lock(&p->lock);
	if (mine) {
		p->stop = false;
		begin(p);
	}
	if (p->pending.size && !p->running && !p->stop) {
		write_out(p, &p->pending);
		ol_buf_clear(&p->pending);
	}
	pthread_mutex_unlock(&p->lock);
}

/* "note: …" as ol_console_say has it, but in line with the bars. */
static void add_said(ol_progress *p, const char *word, const char *text)
{
	bool colour = p->console->err_colour;

	(void)ol_str_addf(&p->pending, "%s%s:%s ",
		!colour        ? ""
		: *word == 'w' ? "\033[33m"
			       : "\033[36m",
		word, ol_plain(colour));
	(void)ol_str_add_safe(&p->pending, ol_view_of(text));
	(void)ol_str_addc(&p->pending, '\n');
}

/* Under the lock: an event's lines, if it is worth any. */
static void take(ol_progress *p, const ol_event *event)
{
	uint64_t now = ol_now_ms();
	bool changed = ol_progress_apply(&p->model, event, now);

	if (p->mode == OL_PROGRESS_JSON) {
		ol_progress_json(&p->model, event, changed, now, &p->pending);
		return;
	}
	if (event->kind == OL_EVENT_WARNING ||
		(event->kind == OL_EVENT_NOTE && p->mode != OL_PROGRESS_NONE))
		add_said(p, event->kind == OL_EVENT_NOTE ? "note" : "warning",
			event->text ? event->text : "");
	else if (p->mode != OL_PROGRESS_NONE && !p->bars)
		ol_progress_plain(&p->model, event, changed, now, &p->pending);
}

static void on_event(void *ctx, const ol_event *event)
{
	ol_progress *p = ctx;
	bool work = event->kind == OL_EVENT_LAYER || event->kind == OL_EVENT_PROGRESS, over;

	pthread_mutex_lock(&p->lock);
	take(p, event);
	over = event->kind == OL_EVENT_DONE || (work && ol_progress_is_over(&p->model));
	if (work && !over && p->mode != OL_PROGRESS_NONE)
		start(p);
	if (over && !p->running && p->bars)
		start(p); /* all in one event, all there already: still to be shown */
	over = over || !p->running;
	pthread_mutex_unlock(&p->lock);
	if (over)
		ol_progress_finish(p);
}

ol_progress *ol_progress_new(ol_console *console, ol_progress_mode mode, FILE *stream)
{
	ol_progress *p = ol_alloc(sizeof *p);
	pthread_condattr_t attr;

	p->console = console;
	p->mode = mode;
	p->stream = stream;
	p->start_ms = ol_now_ms();
	begin(p);
	p->bars = mode == OL_PROGRESS_AUTO && console->err_tty && console->err_bars;
	p->pending = (ol_str)OL_STR(PENDING_BYTES_MAX);
	p->frame = (ol_str)OL_STR(FRAME_BYTES_MAX);
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	return p;
}

void ol_progress_free(ol_progress *p)
{
	if (!p)
		return;
	ol_progress_finish(p);
	ol_progress_model_done(&p->model);
	ol_buf_done(&p->pending);
	ol_buf_done(&p->frame);
	(void)pthread_cond_destroy(&p->wake);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

ol_listener ol_progress_listener(ol_progress *p)
{
	return (ol_listener){ on_event, p };
}

void ol_progress_set_verb(ol_progress *p, ol_progress_verb verb)
{
	pthread_mutex_lock(&p->lock);
	p->verb = p->model.verb = verb;
	pthread_mutex_unlock(&p->lock);
}

bool ol_progress_is_json(const ol_progress *p)
{
	return p->mode == OL_PROGRESS_JSON;
}

void ol_progress_line(ol_progress *p, const char *event, ol_json *line)
{
	ol_auto(ol_json_free) ol_json *members = line;
	ol_auto(ol_json_free) ol_json *whole = ol_json_object();
	ol_auto_str ol_str text = OL_STR(PENDING_BYTES_MAX);
	void *it = NULL;
	const char *key;
	const ol_json *member;

	ol_progress_finish(p);
	if (p->mode != OL_PROGRESS_JSON)
		return;
	ol_json_set_text(whole, "event", event);
	ol_json_set_int(whole, "ms", (int64_t)(ol_now_ms() - p->start_ms));
	while (ol_json_next(members, &it, &key, &member))
		ol_json_set(whole, key, ol_json_copy(member));
	if (ol_json_format(whole, OL_JSON_COMPACT, &text, NULL) < 0)
		return;
	(void)ol_str_addc(&text, '\n');
	write_out(p, &text);
}

ol_progress_mode ol_progress_mode_of(const char *text)
{
	static const struct {
		const char *text;
		ol_progress_mode mode;
	} modes[] = { { "plain", OL_PROGRESS_PLAIN }, { "json", OL_PROGRESS_JSON },
		{ "none", OL_PROGRESS_NONE } };

	for (size_t i = 0; text && i < sizeof modes / sizeof modes[0]; i++)
		if (strcmp(text, modes[i].text) == 0)
			return modes[i].mode;
	return OL_PROGRESS_AUTO;
}
