/* Pulls by way of mirrors: tests/fake_registry plays the registry and those that stand for it. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "fetch/registry.h"
#include "tests/fake_pull.h"

#define MIRRORS_MAX 3

static char dir[64];

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof dir, "/tmp/orlop-mirrors-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return 0;
}

static int tear_down(void **state)
{
	ol_autofree char *command = ol_text("rm -r %s", dir);

	(void)state;
	return system(command); /* NOLINT(cert-env33-c): words of our own */
}

/* A port that counts who comes, and answers nobody: the connection is closed at once. */
struct dead {
	int fd;
	unsigned port;
	pthread_t thread;
	atomic_int count;
};

static void *count_connections(void *ctx)
{
	struct dead *dead = ctx;
	int fd;

	while ((fd = accept4(dead->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		const struct linger now = { 1, 0 };

		atomic_fetch_add(&dead->count, 1);
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		(void)close(fd);
	}
	return NULL;
}

static void dead_start(struct dead *dead)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	atomic_init(&dead->count, 0);
	dead->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(0, bind(dead->fd, (struct sockaddr *)&address, size));
	assert_int_equal(0, getsockname(dead->fd, (struct sockaddr *)&address, &size));
	assert_int_equal(0, listen(dead->fd, 100));
	dead->port = ntohs(address.sin_port);
	assert_int_equal(0, pthread_create(&dead->thread, NULL, count_connections, dead));
}

static int dead_stop(struct dead *dead)
{
	(void)shutdown(dead->fd, SHUT_RDWR);
	(void)pthread_join(dead->thread, NULL);
	(void)close(dead->fd);
	return atomic_load(&dead->count);
}

struct heard {
	pthread_mutex_t lock; /* guards text */
	char text[8192];
};

static void hear(void *ctx, const ol_event *event)
{
	struct heard *heard = ctx;
	size_t used;

	pthread_mutex_lock(&heard->lock);
	used = strlen(heard->text);
	(void)snprintf(heard->text + used, sizeof heard->text - used, "%s\n",
		event->text ? event->text : "");
	pthread_mutex_unlock(&heard->lock);
}

/* One layer, as image/ takes it: if it is wrong, who sent it is blamed, and all of it fetched
 * anew. */
static int take_layer(ol_registry *registry, const ol_ref *ref, const struct fake *shape,
	size_t index, ol_error *err)
{
	ol_descriptor blob = { .media_type = "",
		.digest = shape->layers[index].digest,
		.size = shape->layers[index].size };
	const ol_fetch_range all = { 0, blob.size };
	int rc;

	do {
		struct paper paper;
		ol_digest got;

		paper_init(&paper, blob.size);
		rc = ol_registry_get_blob(registry, ref, &blob, &all, 1,
			&(ol_blob_target){ paper_write, &paper }, err);
		if (rc < 0) {
			paper_done(&paper);
			return rc;
		}
		assert_true(paper_is_exact(&paper, 0, paper.size));
		got = ol_digest_of(OL_SHA256, paper.data, paper.size);
		rc = ol_digest_check(&blob.digest, &got, err);
		paper_done(&paper);
	} while (rc < 0 && ol_registry_blame(registry, ref, &blob.digest));
	return rc;
}

struct job {
	ol_registry *registry;
	const ol_ref *ref;
	const struct fake *shape;
	size_t index;
	int rc;
	ol_error err;
	pthread_t thread;
};

static void *run_job(void *ctx)
{
	struct job *job = ctx;

	job->rc = take_layer(job->registry, job->ref, job->shape, job->index, &job->err);
	return NULL;
}

/* Resolve, manifest, then all layers at once, as a pull does. */
static int pull(ol_registry *registry, const ol_ref *ref, const struct fake *shape, ol_error *err)
{
	ol_auto_buf ol_buf body = OL_BUF((size_t)4 << 20);
	ol_resolved resolved = { 0 };
	struct job jobs[4];
	int rc = ol_registry_resolve(registry, ref, &resolved, err);

	if (rc == OL_OK)
		rc = ol_registry_get_manifest(registry, ref, &resolved.digest, &body, NULL, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < shape->layer_count; i++) {
		jobs[i] = (struct job){ registry, ref, shape, i, 0, { 0 }, 0 };
		assert_int_equal(0, pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]));
	}
	for (size_t i = 0; i < shape->layer_count; i++) {
		(void)pthread_join(jobs[i].thread, NULL);
		if (jobs[i].rc < 0) {
			rc = jobs[i].rc;
			*err = jobs[i].err;
		}
	}
	return rc;
}

#define DEAD "dead"
#define ANY  100000

/* Mirrors in order: scenarios of fixtures/registry, or DEAD; then the registry itself. */
static const struct mirrors_case {
	const char *label;
	const char *mirrors[MIRRORS_MAX]; /* ended by NULL */
	const char *itself;
	const char *fields; /* of each mirror */
	int rc;
	const char *error, *heard;
	struct {
		int server; /* of mirrors; -1: the registry itself */
		const char *words;
		int min, max;
	} log[4];
	int connections; /* to each dead mirror, at most */
} cases[] = {
	{ "one that works", { "plain" }, "plain", "", OL_OK, "", NULL,
		{ { 0, "status=200", 4, 4 }, { -1, "v2", 0, 0 }, { 0, "ns=127.0.0.1", 4, 4 } }, 0 },
	{ "one that is dead is asked once", { DEAD, "plain" }, "plain", "", OL_OK, "",
		"does not answer and is not asked any more",
		{ { 1, "status=200", 4, 4 }, { -1, "v2", 0, 0 } }, 2 },
	{ "one that answers 500", { "mirror-down" }, "plain", "", OL_OK, "", NULL,
		{ { 0, "status=500", 1, 1 }, { -1, "status=200", 4, 4 } }, 0 },
	{ "one that is empty", { "mirror-empty" }, "plain", "", OL_OK, "", NULL,
		{ { 0, "status=404", 5, 6 }, { -1, "status=200", 4, 4 } }, 0 },
	{ "one that lies in a blob", { "wrong-digest-two" }, "plain", "", OL_OK, "",
		"sends what was not asked for and is not asked any more",
		{ { 0, "GET /v2/app/blobs", 1, 2 }, { -1, "GET /v2/app/blobs", 2, 2 } }, 0 },
	{ "one that lies in the manifest", { "mirror-wrong-manifest" }, "plain", "", OL_OK, "",
		"sends what was not asked for",
		{ { 0, "blobs", 0, 0 }, { -1, "status=200", 3, 3 } }, 0 },
	{ "one that sends too much", { "mirror-larger-blob" }, "plain", "", OL_OK, "",
		"sends what was not asked for", { { -1, "GET /v2/app/blobs", 2, 2 } }, 0 },
	{ "one that lags", { "mirror-lacks-blobs" }, "plain", "", OL_OK, "", NULL,
		{ { 0, "manifests/latest|status=200", 1, 1 }, { -1, "manifests", 0, 0 },
			{ -1, "blobs|status=20", 2, 2 } },
		0 },
	{ "one that is cut goes on elsewhere", { "mirror-cut" }, "plain", "", OL_OK, "", NULL,
		{ { 0, "blobs|bytes=5000", 2, ANY },
			{ -1, "blobs|range=bytes=|status=206", 1, 2 } },
		0 },
	{ "one that asks for time", { "mirror-throttle" }, "plain", "", OL_OK, "", NULL,
		{ { 0, "status=429", 1, 1 }, { -1, "status=200", 4, 4 } }, 0 },
	{ "one that asks for time and is alone in having it", { "mirror-throttle-once" },
		"mirror-empty", "", OL_OK, "", NULL,
		{ { 0, "status=429", 1, 1 }, { 0, "blobs|status=200", 2, 2 } }, 0 },
	{ "one that lets nobody in", { "basic-app" }, "plain", "", OL_OK, "",
		"does not let us in and is not asked any more",
		{ { 0, "status=401", 1, 2 }, { -1, "status=200", 4, 4 } }, 0 },
	{ "one that may not resolve", { "plain" }, "plain", "capabilities=['pull']\n", OL_OK, "",
		NULL,
		{ { 0, "manifests/latest", 0, 0 }, { 0, "status=200", 3, 3 },
			{ -1, "manifests/latest", 1, 1 }, { -1, "blobs", 0, 0 } },
		0 },
	{ "one that stalls", { "mirror-stall" }, "plain", "", OL_OK, "",
		"does not answer and is not asked any more", { { -1, "blobs", 1, 2 } }, 0 },
	{ "the registry is dead", { "plain" }, DEAD, "", OL_OK, "", NULL,
		{ { 0, "status=200", 4, 4 } }, 0 },
	{ "nobody has it", { "mirror-empty", DEAD }, "mirror-empty", "", OL_ENOTFOUND,
		"manifest for 127.0.0.1", NULL, { { 0, "v2", 2, 2 } }, 2 },
	{ "all are wrong", { "wrong-digest" }, "wrong-digest", "", OL_ECORRUPT, "sha256:", NULL,
		{ { 0, "blobs", 1, 1 }, { -1, "blobs", 1, 1 } }, 0 },
};

static void write_hosts(
	const struct mirrors_case *c, const char *const *addresses, const char *itself)
{
	ol_autofree char *folder = ol_text("%s/%s", dir, itself);
	ol_autofree char *path = ol_text("%s/hosts.toml", folder);
	FILE *file;

	(void)mkdir(folder, 0755);
	file = fopen(path, "we");
	assert_non_null(file);
	for (size_t i = 0; i < MIRRORS_MAX && addresses[i]; i++)
		(void)fprintf(file, "[host.'http://%s']\n%s", addresses[i], c->fields);
	assert_int_equal(0, fclose(file));
}

static void check_log(const struct mirrors_case *c, struct fake *mirrors, struct fake *itself)
{
	for (size_t i = 0; i < 4 && c->log[i].words; i++) {
		struct fake *fake = c->log[i].server < 0 ? itself : &mirrors[c->log[i].server];
		int count = fake_logged(fake, c->log[i].words, NULL);

		if (count < c->log[i].min || count > c->log[i].max) {
			print_error("%s, %d: %s\n", c->label, c->log[i].server, c->log[i].words);
			CHECK_INT(c->label, c->log[i].min, count);
		}
	}
}

/* Everybody a case has. */
struct play {
	struct fake mirrors[MIRRORS_MAX], itself;
	struct dead dead;
	bool any_dead;
	char address[MIRRORS_MAX][64], own[64];
};

static void enter(struct play *play, const char *scenario, struct fake *fake, char address[64])
{
	if (strcmp(scenario, DEAD) != 0) {
		fake_start(fake, scenario, NULL);
		(void)snprintf(address, 64, "%.60s", fake->main);
		return;
	}
	if (!play->any_dead)
		dead_start(&play->dead);
	play->any_dead = true;
	(void)snprintf(address, 64, "127.0.0.1:%u", play->dead.port);
}

static void play_begin(struct play *play, const struct mirrors_case *c)
{
	const char *addresses[MIRRORS_MAX] = { NULL };

	for (size_t i = 0; i < MIRRORS_MAX && c->mirrors[i]; i++) {
		enter(play, c->mirrors[i], &play->mirrors[i], play->address[i]);
		addresses[i] = play->address[i];
	}
	enter(play, c->itself, &play->itself, play->own);
	write_hosts(c, addresses, play->own);
}

static void play_end(struct play *play, const struct mirrors_case *c)
{
	int count = play->any_dead ? dead_stop(&play->dead) : 0;

	if (c->connections && (count < 1 || count > c->connections))
		CHECK_INT(c->label, c->connections, count);
	for (size_t i = 0; i < MIRRORS_MAX; i++)
		if (play->mirrors[i].log[0])
			fake_stop(&play->mirrors[i]);
	if (play->itself.log[0])
		fake_stop(&play->itself);
}

static void run_case(const struct mirrors_case *c)
{
	struct heard heard = { .lock = PTHREAD_MUTEX_INITIALIZER };
	ol_listener listener = { hear, &heard };
	ol_registry_options options = { .retries = 3,
		.listener = &listener,
		.hosts_dir = dir,
		.registries_conf = "/dev/null",
		.timing = fake_timing };
	struct play play = { 0 };
	ol_registry *registry = NULL;
	ol_error err = { 0 };
	ol_ref ref = { .path = "app", .tag = "latest" };

	options.timing.backoff_max_ms = 1500; /* as long as a busy one is passed over */
	play_begin(&play, c);
	(void)snprintf(ref.domain, sizeof ref.domain, "%s", play.own);
	CHECK_INT(c->label, OL_OK, ol_registry_new(&options, &registry, NULL));
	CHECK_INT(c->label, c->rc,
		pull(registry, &ref, play.itself.log[0] ? &play.itself : &play.mirrors[0], &err));
	ol_registry_free(registry);
	if (!strstr(err.text, c->error))
		CHECK_STR(c->label, c->error, err.text);
	for (size_t i = 0; c->rc == OL_ENOTFOUND && c->mirrors[i]; i++)
		if (!strstr(err.text, play.address[i])) /* each endpoint and why */
			CHECK_STR(c->label, play.address[i], err.text);
	if (c->heard && !strstr(heard.text, c->heard))
		CHECK_STR(c->label, c->heard, heard.text);
	check_log(c, play.mirrors, &play.itself);
	play_end(&play, c);
}

static void mirrors_are_asked_as_they_deserve(void **state)
{
	(void)state;
	OL_EACH (cases, c)
		run_case(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mirrors_are_asked_as_they_deserve),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
