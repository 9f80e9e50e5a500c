/*
 * One turn is one request; a turn's reply decides whether there is another:
 *
 *	401 (400, 403) from the registry   → access_priv.h may know better, again: a few times
 *	301 302 303 307 308                → the same question to Location (OL_REDIRECTS_MAX)
 *	a kept location refuses            → it has expired: back to the registry
 *	429, 5xx, no reply                 → wait (the host's penalty), again: as patience lasts
 *	no TLS from who may be plain       → http, again
 *
 * Authorization goes to the registry's own origin alone: scheme, host and port.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "fetch/access_priv.h"
#include "fetch/exchange_priv.h"
#include "fetch/token.h"
#include "fetch/url.h"

/* Rounds of 401 in one exchange: the first challenge, a wider scope, a renewed token. */
#define ACCESS_ROUNDS_MAX 4

/* One exchange's state. */
struct turn {
	ol_registry *registry;
	const ol_ask *ask;
	ol_access *access;
	char *url;     /* owned */
	ol_host *host; /* of url */
	bool at_home;  /* url is the registry's own */
	bool kept;     /* url came from ask->location */
	unsigned redirects, rounds;
	ol_access_use use;
	bool authorized;
	ol_reply *reply;
};

enum verdict {
	FINAL,
	AGAIN,
}; /* or a negative code */

static void go_home(struct turn *turn)
{
	ol_autofree char *base = ol_host_base(turn->ask->host);
	ol_host *host = turn->ask->host;

	free(turn->url);
	turn->at_home = true;
	if (turn->ask->url) {
		turn->url = ol_strdup(turn->ask->url);
		turn->at_home = ol_url_same_origin(turn->url, base);
		/* What it is was looked at when the registry named it. */
		if (!turn->at_home)
			(void)ol_host_via(turn->registry, turn->url, turn->ask->host, &host, NULL);
	} else {
		turn->url = ol_host_url(turn->ask->host, turn->ask->path);
	}
	turn->host = host;
	turn->kept = false;
	turn->redirects = 0;
}

static int begin(struct turn *turn, ol_error *err)
{
	char **location = turn->ask->location;

	if (!location || !*location) {
		go_home(turn);
		return OL_OK;
	}
	turn->url = ol_strdup(*location);
	turn->kept = true;
	return ol_host_via(turn->registry, turn->url, turn->ask->host, &turn->host, err);
}

static void forget_location(const struct turn *turn)
{
	if (!turn->ask->location)
		return;
	free(*turn->ask->location);
	*turn->ask->location = NULL;
}

/* Waits for the host's penalty to pass. */
static int wait_for_host(
	ol_registry *registry, ol_host *host, const atomic_bool *stop, ol_error *err)
{
	uint64_t until = ol_host_penalty(host);

	if (until <= ol_now_ms())
		return OL_OK;
	return ol_retry_wait(until, registry->cancel, stop, err);
}

/* A refusal that asks for time, or no reply at all: OL_OK when the host may be asked again (after
 * its penalty), *again false when patience is at an end. */
static int wait_before_retry(ol_registry *registry, ol_host *host, const ol_reply *reply,
	ol_patience *patience, bool *again, ol_error *err)
{
	uint64_t ms, asked;
	ol_view header;
	bool said = ol_reply_header(reply, "retry-after", 0, &header) &&
		    ol_retry_after_parse(header, ol_unix_now(), &asked, NULL) == OL_OK;

	*again = ol_patience_take(patience, &ms);
	if (!*again)
		return OL_OK;
	if (said && asked > OL_RETRY_AFTER_MAX_MS) {
		(void)ol_fail(err, OL_EUNAVAILABLE, "%s asks to wait %llu s", host->name,
			(unsigned long long)(asked / 1000));
		return ol_hint(err, OL_EUNAVAILABLE, "try again later");
	}
	if (said && asked > ms)
		ms = asked + ms / 8; /* not all at the same moment */
	if (ol_host_penalise(host, ol_now_ms() + ms) && ms >= 1000) {
		if (said)
			ol_tell_text(&registry->listener, OL_EVENT_NOTE, "%s asks to wait %llu s",
				host->name, (unsigned long long)((ms + 999) / 1000));
		else
			ol_tell_text(&registry->listener, OL_EVENT_NOTE,
				"%s: trying again in %llu s", host->name,
				(unsigned long long)((ms + 999) / 1000));
	}
	return OL_OK;
}

/* Words for a reply that did not come. */
static int no_reply(const ol_host *host, const ol_reply *reply, int rc, ol_error *err)
{
	switch (reply->outcome) {
	case OL_OUTCOME_NOT_TLS:
		rc = ol_wrap(err, OL_EUNAVAILABLE, "%s does not answer with TLS", host->name);
		return ol_hint(err, rc, "if it serves plain HTTP and that is wanted: --plain-http");
	case OL_OUTCOME_CERTIFICATE:
		rc = ol_wrap(err, OL_EUNAVAILABLE, "the certificate of %s", host->name);
		return ol_hint(err, rc,
			"put its CA into /etc/docker/certs.d/%s/ca.crt, or pass --tls-verify=false",
			host->name);
	case OL_OUTCOME_CANCELED:
		return rc;
	case OL_OUTCOME_REFUSED:
		if (rc != OL_ELIMIT)
			return rc; /* the caller's own words */
		break;
	case OL_OUTCOME_REPLY:
	case OL_OUTCOME_UNREACHED:
	case OL_OUTCOME_CUT:
	case OL_OUTCOME_STALLED:
		break;
	}
	return ol_wrap(err, rc, "%s", host->name);
}

static bool worth_retry(const ol_reply *reply)
{
	return reply->outcome == OL_OUTCOME_UNREACHED || reply->outcome == OL_OUTCOME_CUT ||
	       reply->outcome == OL_OUTCOME_STALLED;
}

static bool refused_tls(const char *url, const ol_reply *reply)
{
	return ol_url_is_https(url) &&
	       (reply->outcome == OL_OUTCOME_NOT_TLS || reply->outcome == OL_OUTCOME_UNREACHED);
}

/* No whole reply came. FINAL is never its answer. */
static int failed(struct turn *turn, int rc, ol_error *err)
{
	const ol_reply *reply = turn->reply;
	bool again = false;
	int waited;

	if (reply->handed_bytes)
		return no_reply(turn->host, reply, rc, err);
	if (turn->at_home && ol_host_doubt(turn->host)) {
		go_home(turn);
		return AGAIN;
	}
	if (turn->at_home && refused_tls(turn->url, reply) &&
		ol_host_fall_back(turn->host, reply->outcome == OL_OUTCOME_UNREACHED)) {
		go_home(turn);
		return AGAIN;
	}
	if (!worth_retry(reply) || (turn->ask->once && reply->outcome != OL_OUTCOME_UNREACHED))
		return no_reply(turn->host, reply, rc, err);
	if (turn->at_home && reply->outcome == OL_OUTCOME_UNREACHED)
		ol_host_unreached(turn->host);
	waited = wait_before_retry(
		turn->registry, turn->host, reply, turn->ask->patience, &again, err);
	if (waited < 0)
		return waited;
	if (!again)
		return no_reply(turn->host, reply, rc, err);
	if (!turn->at_home)
		forget_location(turn);
	go_home(turn);
	return AGAIN;
}

static int redirected(struct turn *turn, ol_error *err)
{
	ol_autofree char *next = NULL;
	ol_autofree char *base = NULL;
	ol_view header;
	ol_autofree char *location = NULL;
	int rc;

	if (!ol_reply_header(turn->reply, "location", 0, &header))
		return FINAL;
	if (++turn->redirects > OL_REDIRECTS_MAX)
		return ol_fail(err, OL_EUNAVAILABLE, "%s: redirected more than %d times",
			turn->ask->host->name, OL_REDIRECTS_MAX);
	location = ol_strndup(header.data, header.size);
	rc = ol_url_join(turn->url, location, &next, err);
	if (rc < 0)
		return ol_wrap(err, OL_EUNAVAILABLE, "%s redirects to something that is",
			turn->host->name);
	if (ol_url_is_https(turn->url) && !ol_url_is_https(next) && !turn->ask->plain_redirect)
		return ol_fail(
			err, OL_EUNAVAILABLE, "%s redirects from https to http", turn->host->name);
	rc = ol_host_via(turn->registry, next, turn->ask->host, &turn->host, err);
	if (rc < 0)
		return rc;
	free(turn->url);
	turn->url = ol_steal(&next);
	base = ol_host_base(turn->ask->host);
	turn->at_home = ol_url_same_origin(turn->url, base);
	return AGAIN;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* A reply came. */
static int judge(struct turn *turn, ol_error *err)
{
	const ol_ask *ask = turn->ask;
	long status = turn->reply->status;
	bool again = false;
	int rc;

	if (turn->at_home && status == 400 && ol_host_doubt(turn->host)) {
		go_home(turn);
		return AGAIN;
	}
	if (turn->at_home)
		ol_host_answered(turn->host, turn->url);
	if (is_redirect(status))
		return redirected(turn, err);
	if (turn->at_home &&
		(status == 401 || (turn->authorized && (status == 400 || status == 403))) &&
		turn->rounds++ < ACCESS_ROUNDS_MAX) {
		rc = ol_access_refused(
			turn->registry, turn->access, turn->reply, &turn->use, &again, err);
		return rc < 0 ? rc : again ? AGAIN : FINAL;
	}
	/* A signed address has its time. The registry gives a new one. */
	if (!turn->at_home && !ask->url && status >= 400 &&
		(turn->kept || status == 400 || status == 403) &&
		ol_patience_take(ask->patience, &(uint64_t){ 0 })) {
		forget_location(turn);
		go_home(turn);
		return AGAIN;
	}
	if (!ol_retry_status(status) || ask->once)
		return FINAL;
	rc = wait_before_retry(turn->registry, turn->host, turn->reply, ask->patience, &again, err);
	if (rc < 0 || !again)
		return rc < 0 ? rc : FINAL;
	if (!turn->at_home)
		go_home(turn);
	return AGAIN;
}

static int ask_once(struct turn *turn, ol_error *err)
{
	const ol_ask *ask = turn->ask;
	ol_autofree char *accept = ask->accept ? ol_text("Accept: %s", ask->accept) : NULL;
	ol_autofree char *range = ask->range ? ol_text("Range: %s", ask->range) : NULL;
	ol_autofree char *type =
		ask->content_type ? ol_text("Content-Type: %s", ask->content_type) : NULL;
	ol_autofree char *part =
		ask->content_range ? ol_text("Content-Range: %s", ask->content_range) : NULL;
	const char *const all[] = { accept, range, type, part };
	const ol_endpoint *endpoint = turn->host->endpoint;
	const char *const *own = turn->at_home && endpoint ? endpoint->headers : NULL;
	const char *headers[5 + OL_HEADERS_MAX] = { NULL };
	size_t count = 0;
	char *authorization = NULL;
	int rc = OL_OK;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (all[i])
			headers[count++] = all[i];
	for (; own && *own && count < 4 + OL_HEADERS_MAX; own++)
		headers[count++] = *own;
	if (turn->at_home)
		rc = ol_access_header(
			turn->registry, turn->access, &authorization, &turn->use, err);
	turn->authorized = authorization != NULL;
	if (rc == OL_OK)
		rc = wait_for_host(turn->registry, turn->host, ask->stop, err);
	if (rc == OL_OK) {
		rc = ol_transfer_run(turn->registry->transfer,
			&(ol_request){ .method = ask->method,
				.url = turn->url,
				.headers = headers,
				.authorization = authorization,
				.tls = &turn->host->tls,
				.proxy = endpoint ? endpoint->proxy : NULL,
				.connect_ms = endpoint ? endpoint->connect_ms : 0,
				.decode = ask->decode,
				.http1 = ask->http1,
				.payload = ask->payload,
				.body_max = ask->body_max,
				.accept = ask->accept_reply,
				.body = ask->body,
				.ctx = ask->ctx,
				.stop = ask->stop },
			turn->reply, err);
		rc = rc < 0 ? failed(turn, rc, err) : judge(turn, err);
	}
	ol_secret_free(authorization);
	return rc;
}

int ol_exchange(ol_registry *registry, const ol_ask *ask, ol_reply *reply, ol_error *err)
{
	struct turn turn = { .registry = registry, .ask = ask, .reply = reply };
	int rc;

	*reply = (ol_reply){ .outcome = OL_OUTCOME_REFUSED };
	turn.access = ol_access_get(ask->host, ask->repository);
	rc = begin(&turn, err);
	if (rc == OL_OK)
		do {
			ol_reply_done(reply);
			*reply = (ol_reply){ .outcome = OL_OUTCOME_REFUSED };
			rc = ask_once(&turn, err);
		} while (rc == AGAIN);
	if (ask->location && !turn.at_home && turn.url && (rc == FINAL || reply->handed_bytes)) {
		free(*ask->location);
		*ask->location = ol_steal(&turn.url);
	}
	free(turn.url);
	return rc;
}

int ol_exchange_wait(
	ol_registry *registry, const ol_ask *ask, const ol_reply *reply, bool *again, ol_error *err)
{
	return wait_before_retry(registry, ask->host, reply, ask->patience, again, err);
}

int ol_exchange_plain(ol_registry *registry, ol_host *host, const ol_request *request,
	ol_patience *patience, ol_reply *reply, ol_error *err)
{
	int rc;

	*reply = (ol_reply){ .outcome = OL_OUTCOME_REFUSED };
	for (;;) {
		bool again = false;
		int waited;

		ol_reply_done(reply);
		*reply = (ol_reply){ .outcome = OL_OUTCOME_REFUSED };
		rc = wait_for_host(registry, host, NULL, err);
		if (rc < 0)
			return rc;
		rc = ol_transfer_run(registry->transfer, request, reply, err);
		if (rc == OL_OK ? !ol_retry_status(reply->status) : !worth_retry(reply))
			break;
		waited = wait_before_retry(registry, host, reply, patience, &again, err);
		if (waited < 0)
			return waited;
		if (!again)
			break;
	}
	return rc < 0 ? no_reply(host, reply, rc, err) : OL_OK;
}
