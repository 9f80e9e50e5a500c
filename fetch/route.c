#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/limits.h"
#include "fetch/route_priv.h"

/* Who gave bytes of a blob. */
struct ol_giver {
	struct ol_giver *next;
	ol_digest digest;
	ol_host *host; /* lent */
};

static int load_conf(ol_registry *registry, ol_error *err)
{
	if (registry->conf)
		return OL_OK;
	return ol_registries_conf_load(registry->registries_conf, &registry->conf, err);
}

int ol_registry_conf(ol_registry *registry, const ol_registries_conf **out, ol_error *err)
{
	int rc;

	pthread_mutex_lock(&registry->route_lock);
	rc = load_conf(registry, err);
	pthread_mutex_unlock(&registry->route_lock);
	if (rc == OL_OK)
		*out = registry->conf;
	return rc;
}

static void route_free(ol_route *route)
{
	ol_endpoints_done(&route->endpoints);
	free(route->ways);
	free(route->name);
	free(route);
}

void ol_route_free_all(ol_registry *registry)
{
	while (registry->routes) {
		ol_route *next = registry->routes->next;

		route_free(registry->routes);
		registry->routes = next;
	}
	while (registry->givers) {
		struct ol_giver *next = registry->givers->next;

		free(registry->givers);
		registry->givers = next;
	}
	ol_registries_conf_free(registry->conf);
}

static int make(ol_registry *registry, const ol_ref *ref, const char *name, bool itself,
	ol_route **out, ol_error *err)
{
	const ol_endpoint_options options = {
		.hosts_dir = registry->hosts_dir, .conf = registry->conf, .itself = itself
	};
	ol_route *route = ol_alloc(sizeof *route);
	int rc = ol_endpoints_find(&options, ref, &route->endpoints, err);

	route->name = ol_strdup(name);
	assert(route->endpoints.count <= OL_ENDPOINTS_MAX);
	if (rc == OL_OK)
		route->ways = ol_alloc_array(route->endpoints.count, sizeof *route->ways);
	for (size_t i = 0; rc == OL_OK && i < route->endpoints.count; i++) {
		ol_way *way = &route->ways[i];

		way->endpoint = &route->endpoints.list[i];
		rc = ol_host_of_endpoint(
			registry, way->endpoint, route->endpoints.source, &way->host, err);
	}
	/* Hosts keep what they have of the endpoints: a route that failed half-way stays as well.
	 */
	route->next = registry->routes;
	registry->routes = route;
	if (rc < 0) {
		*route->name = '\0';
		return rc;
	}
	*out = route;
	return OL_OK;
}

static int get(ol_registry *registry, const ol_ref *ref, bool itself, ol_route **out, ol_error *err)
{
	const ol_ref_string text = ol_ref_format(ref);
	ol_autofree char *name = ol_text("%s%s", itself ? "itself " : "", text.text);
	ol_route *route;
	int rc;

	pthread_mutex_lock(&registry->route_lock);
	for (route = registry->routes; route && strcmp(route->name, name) != 0; route = route->next)
		;
	rc = route ? OL_OK : load_conf(registry, err);
	if (!route && rc == OL_OK)
		rc = make(registry, ref, name, itself, &route, err);
	pthread_mutex_unlock(&registry->route_lock);
	if (rc == OL_OK)
		*out = route;
	return rc;
}

int ol_route_get(ol_registry *registry, const ol_ref *ref, ol_route **out, ol_error *err)
{
	return get(registry, ref, false, out, err);
}

int ol_route_itself(ol_registry *registry, const ol_ref *ref, ol_host **out, ol_error *err)
{
	ol_route *route;
	int rc = get(registry, ref, true, &route, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < route->endpoints.count; i++)
		if (route->ways[i].endpoint->capabilities & OL_CAN_PUSH) {
			*out = route->ways[i].host;
			return OL_OK;
		}
	return ol_fail(err, OL_EUNSUPPORTED, "%s lets nobody push to %s", route->endpoints.source,
		ref->domain);
}

static ol_fault_kind kind_of(int rc, const ol_reply *reply)
{
	switch (reply->outcome) {
	case OL_OUTCOME_CANCELED:
		return OL_FAULT_OURS;
	case OL_OUTCOME_UNREACHED:
	case OL_OUTCOME_NOT_TLS:
	case OL_OUTCOME_CERTIFICATE:
	case OL_OUTCOME_STALLED:
		return OL_FAULT_DEAD;
	case OL_OUTCOME_CUT:
		return reply->status ? OL_FAULT_BUSY : OL_FAULT_DEAD;
	case OL_OUTCOME_REFUSED:
		return rc == OL_ECORRUPT || rc == OL_ELIMIT ? OL_FAULT_LIED
		       : rc == OL_ECANCELED                 ? OL_FAULT_OURS
							    : OL_FAULT_ABSENT;
	case OL_OUTCOME_REPLY:
		break;
	}
	if (rc == OL_ECANCELED)
		return OL_FAULT_OURS;
	if (rc == OL_EAUTH || reply->status == 401 || reply->status == 403)
		return OL_FAULT_DENIED;
	if (rc < 0 || ol_retry_status(reply->status))
		return OL_FAULT_BUSY;
	return reply->status == 200 || reply->status == 206 ? OL_FAULT_NONE : OL_FAULT_ABSENT;
}

ol_fault ol_fault_of(int rc, const ol_reply *reply)
{
	ol_fault fault = { .kind = kind_of(rc, reply) };
	ol_view header;

	if (ol_reply_header(reply, "retry-after", 0, &header))
		(void)ol_retry_after_parse(header, ol_unix_now(), &fault.after_ms, NULL);
	return fault;
}

int ol_walk_begin(ol_walk *walk, ol_registry *registry, const ol_ref *ref, unsigned capabilities,
	const char *what, ol_error *err)
{
	*walk = (ol_walk){ .registry = registry,
		.capabilities = capabilities,
		.what = what,
		.reasons = OL_STR(2048) };
	return ol_route_get(registry, ref, &walk->route, err);
}

void ol_walk_end(ol_walk *walk)
{
	ol_buf_done(&walk->reasons);
}

static bool is_able(const ol_walk *walk, const ol_way *way)
{
	return (way->endpoint->capabilities & walk->capabilities) == walk->capabilities;
}

static bool is_usable(const ol_walk *walk, ol_way *way)
{
	return is_able(walk, way) && !way->denied && !ol_host_is_out(way->host);
}

/* Whether anybody but the way at hand may still be asked, now or for a later question. */
static bool has_others(const ol_walk *walk)
{
	for (size_t i = 0; i < walk->route->endpoints.count; i++)
		if (&walk->route->ways[i] != walk->way && is_usable(walk, &walk->route->ways[i]))
			return true;
	return false;
}

/* The first that may be asked in this pass, from `from` on; the count where there is none. */
static size_t seek(const ol_walk *walk, size_t from)
{
	size_t i = from;

	for (; i < walk->route->endpoints.count; i++)
		if (is_usable(walk, &walk->route->ways[i]) &&
			(!walk->second || walk->busy >> i & 1))
			return i;
	return i;
}

bool ol_walk_next(ol_walk *walk)
{
	const size_t count = walk->route->endpoints.count;
	size_t i = walk->way ? walk->at + 1 : 0;

	for (;;) {
		size_t behind;

		i = seek(walk, i);
		if (i >= count) {
			if (walk->second || !walk->busy)
				return false;
			walk->second = true;
			i = 0;
			continue;
		}
		behind = seek(walk, i + 1);
		/* Who wants to be left alone is asked when nobody else has the answer. */
		if (!walk->second && (behind < count || walk->asked) &&
			ol_host_penalty(walk->route->ways[i].host) > ol_now_ms()) {
			walk->busy |= UINT64_C(1) << i;
			i++;
			continue;
		}
		walk->at = i;
		walk->way = &walk->route->ways[i];
		walk->last = behind == count;
		walk->asked++;
		return true;
	}
}

ol_patience ol_walk_patience(const ol_walk *walk)
{
	ol_patience patience = ol_registry_patience(walk->registry);

	if (!walk->last && !walk->second)
		patience.tries = 0;
	return patience;
}

/* The reason in the way's own words, without what stands before all of them. */
static void add_reason(ol_walk *walk, const ol_error *why)
{
	const char *host = walk->way->host->name, *text = why->text;

	for (int i = 0; i < 2; i++) {
		size_t size = strlen(host), what = strlen(walk->what);

		if (strncmp(text, host, size) == 0 && strncmp(text + size, ": ", 2) == 0)
			text += size + 2;
		if (strncmp(text, walk->what, what) == 0 && strncmp(text + what, ": ", 2) == 0)
			text += what + 2;
		else if (strncmp(text, walk->what, what) == 0 && text[what] == ' ')
			text += what + 1;
	}
	(void)ol_str_addf(
		&walk->reasons, "%s%s: %.150s", walk->reasons.size ? "; " : "", host, text);
}

static void put_out(ol_walk *walk, const ol_error *why, const char *verdict)
{
	const ol_host *host = walk->way->host;

	if (ol_host_put_out(walk->way->host, why->text))
		ol_tell_text(&walk->registry->listener, OL_EVENT_WARNING,
			"%s %s and is not asked any more: %.200s", host->name, verdict, why->text);
}

/* A penalty for who has others behind him: the time he asks for, or the longest wait between
 * tries. */
static void penalise(ol_walk *walk, const ol_fault *fault)
{
	uint64_t ms = walk->registry->timing.backoff_max_ms;

	if (fault->after_ms)
		ms = fault->after_ms < OL_RETRY_AFTER_MAX_MS ? fault->after_ms
							     : OL_RETRY_AFTER_MAX_MS;
	(void)ol_host_penalise(walk->way->host, ol_now_ms() + ms);
}

static void punish(ol_walk *walk, const ol_fault *fault, const ol_error *why)
{
	switch (fault->kind) {
	case OL_FAULT_BUSY:
		if (!walk->second) {
			penalise(walk, fault);
			walk->busy |= UINT64_C(1) << walk->at;
		}
		break;
	case OL_FAULT_DEAD:
		put_out(walk, why, "does not answer");
		break;
	case OL_FAULT_LIED:
		put_out(walk, why, "sends what was not asked for");
		break;
	case OL_FAULT_DENIED:
		if (!atomic_exchange(&walk->way->denied, true))
			ol_tell_text(&walk->registry->listener, OL_EVENT_WARNING,
				"%s does not let us in and is not asked any more: %.200s",
				walk->way->host->name, why->text);
		break;
	case OL_FAULT_NONE:
	case OL_FAULT_ABSENT:
	case OL_FAULT_OURS:
		break;
	}
}

bool ol_walk_failed(ol_walk *walk, int rc, ol_fault fault, const ol_error *err)
{
	if (fault.kind == OL_FAULT_OURS || rc == OL_ECANCELED) {
		walk->rc = rc;
		walk->err = *err;
		walk->asked = 1; /* its words alone */
		walk->at = walk->route->endpoints.count;
		return false;
	}
	add_reason(walk, err);
	walk->rc = rc;
	walk->err = *err;
	if (has_others(walk))
		punish(walk, &fault, err);
	return true;
}

/* Nobody could be asked: those who might have been are out. */
static int nobody(ol_walk *walk, ol_error *err)
{
	for (size_t i = 0; i < walk->route->endpoints.count; i++) {
		const ol_way *way = &walk->route->ways[i];

		if (is_able(walk, way))
			(void)ol_str_addf(&walk->reasons, "%s%s is not asked any more",
				walk->reasons.size ? "; " : "", way->host->name);
	}
	if (walk->reasons.size)
		return ol_fail(
			err, OL_EUNAVAILABLE, "%s: %s", walk->what, ol_str_text(&walk->reasons));
	return ol_fail(err, OL_EUNSUPPORTED, "%s: %s lets no host be asked for it", walk->what,
		walk->route->endpoints.source);
}

int ol_walk_refusal(ol_walk *walk, ol_error *err)
{
	if (walk->asked == 0)
		return nobody(walk, err);
	if (err)
		*err = walk->err;
	if (walk->asked == 1)
		return walk->rc;
	if (err) {
		ol_autofree char *hint = ol_strdup(walk->err.hint);

		(void)ol_fail(err, walk->rc, "%s: %s", walk->what, ol_str_text(&walk->reasons));
		(void)ol_hint(err, walk->rc, "%s", hint);
	}
	return walk->rc;
}

void ol_route_note_giver(ol_registry *registry, const ol_digest *digest, ol_host *host)
{
	struct ol_giver *giver;

	pthread_mutex_lock(&registry->route_lock);
	for (giver = registry->givers;
		giver && !(giver->host == host && ol_digest_eq(&giver->digest, digest));
		giver = giver->next)
		;
	if (!giver) {
		giver = ol_alloc(sizeof *giver);
		*giver = (struct ol_giver){ registry->givers, *digest, host };
		registry->givers = giver;
	}
	pthread_mutex_unlock(&registry->route_lock);
}

/* Whether host gave bytes of digest; that is then forgotten. */
static bool take_giver(ol_registry *registry, const ol_digest *digest, const ol_host *host)
{
	bool found = false;

	pthread_mutex_lock(&registry->route_lock);
	for (struct ol_giver **at = &registry->givers; *at && !found;) {
		struct ol_giver *giver = *at;

		found = giver->host == host && ol_digest_eq(&giver->digest, digest);
		if (found) {
			*at = giver->next;
			free(giver);
		} else {
			at = &giver->next;
		}
	}
	pthread_mutex_unlock(&registry->route_lock);
	return found;
}

bool ol_registry_blame(ol_registry *registry, const ol_ref *ref, const ol_digest *digest)
{
	ol_walk walk;
	ol_error why = { 0 };
	bool blamed = false;

	if (ol_walk_begin(&walk, registry, ref, OL_CAN_PULL, "", NULL) != OL_OK)
		return false;
	(void)ol_fail(&why, OL_ECORRUPT, "blob %s has other bytes", ol_digest_format(digest).text);
	for (size_t i = 0; i < walk.route->endpoints.count; i++) {
		walk.way = &walk.route->ways[i];
		if (!take_giver(registry, digest, walk.way->host) || !has_others(&walk))
			continue;
		put_out(&walk, &why, "sends what was not asked for");
		blamed = true;
	}
	ol_walk_end(&walk);
	return blamed;
}
