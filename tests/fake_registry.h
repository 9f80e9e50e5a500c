#pragma once

/* Starts tests/fake_registry with a scenario of fixtures/registry, and ends it. FAKE_SOURCE_DIR is
 * the tree. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "tests/check.h"

struct fake {
	pid_t pid;
	int stdin_fd; /* closing it ends the server */
	char main[160], other[160], auth[160];
	char log[256];
	struct {
		ol_digest digest;
		uint64_t size;
	} manifest, config, layers[4];
	size_t layer_count;
};

static inline void fake_line(struct fake *fake, const char *line)
{
	char name[16], value[160];
	unsigned long long size = 0;
	ol_digest digest;

	assert_true(sscanf(line, "%15s %159s %llu", name, value, &size) >= 1);
	if (strcmp(name, "main") == 0)
		(void)snprintf(fake->main, sizeof fake->main, "%s", value);
	else if (strcmp(name, "other") == 0)
		(void)snprintf(fake->other, sizeof fake->other, "%s", value);
	else if (strcmp(name, "auth") == 0)
		(void)snprintf(fake->auth, sizeof fake->auth, "%s", value);
	if (!strchr(value, ':') || ol_digest_parse(ol_view_of(value), &digest, NULL) < 0)
		return;
	if (strcmp(name, "manifest") == 0) {
		fake->manifest.digest = digest;
		fake->manifest.size = size;
	} else if (strcmp(name, "config") == 0) {
		fake->config.digest = digest;
		fake->config.size = size;
	} else if (fake->layer_count < 4) {
		fake->layers[fake->layer_count].digest = digest;
		fake->layers[fake->layer_count++].size = size;
	}
}

/* extra: further arguments, ended by NULL; or NULL. */
static inline void fake_start(struct fake *fake, const char *scenario, const char *const *extra)
{
	char path[512], script[512], line[256];
	const char *argv[16] = { script, path, "--log", fake->log, NULL };
	int in[2], out[2];
	FILE *lines;

	*fake = (struct fake){ 0 };
	(void)snprintf(fake->log, sizeof fake->log, "/tmp/orlop-fake-%d-XXXXXX", getpid());
	assert_int_equal(0, close(mkstemp(fake->log)));
	(void)snprintf(script, sizeof script, "%s/tests/fake_registry", FAKE_SOURCE_DIR);
	(void)snprintf(path, sizeof path, "%s/fixtures/registry/%s.txt", FAKE_SOURCE_DIR, scenario);
	for (size_t i = 0; extra && extra[i]; i++)
		argv[4 + i] = extra[i];
	assert_int_equal(0, pipe2(in, O_CLOEXEC));
	assert_int_equal(0, pipe2(out, O_CLOEXEC));
	fake->pid = fork();
	assert_true(fake->pid >= 0);
	if (fake->pid == 0) {
		(void)prctl(
			PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nothing behind */
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)execv(script, (char *const *)argv);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	fake->stdin_fd = in[1];
	lines = fdopen(out[0], "r");
	while (fgets(line, sizeof line, lines) && strcmp(line, "ready\n") != 0)
		fake_line(fake, line);
	(void)fclose(lines);
	assert_true(fake->manifest.size > 0);
}

/* Ends the server, which first finishes what it has begun; its log can still be read. */
static inline void fake_end(struct fake *fake)
{
	int status;

	if (fake->pid <= 0)
		return;
	(void)close(fake->stdin_fd);
	assert_int_equal(fake->pid, waitpid(fake->pid, &status, 0));
	fake->pid = 0;
}

static inline void fake_stop(struct fake *fake)
{
	fake_end(fake);
	(void)unlink(fake->log);
}

/* How many lines of the access log hold all words (separated by "|"). bytes, if not NULL, sums what
 * they sent. Ends the server: only then all is written. */
static inline int fake_logged(struct fake *fake, const char *words, unsigned long long *bytes)
{
	char line[1024];
	int count = 0;
	FILE *log;

	fake_end(fake);
	log = fopen(fake->log, "re");
	assert_non_null(log);
	if (bytes)
		*bytes = 0;
	while (fgets(line, sizeof line, log)) {
		char copy[256], *rest = copy, *word;
		int all = 1;

		(void)snprintf(copy, sizeof copy, "%s", words);
		while ((word = strsep(&rest, "|")))
			all = all && strstr(line, word);
		count += all;
		if (all && bytes)
			*bytes += strtoull(strstr(line, " bytes=") + 7, NULL, 10);
	}
	(void)fclose(log);
	return count;
}
