#include <string.h>

#include "base/alloc.h"
#include "fetch/access_priv.h"

struct ol_access {
	ol_access *next;
	char *repository; /* owned */
};

ol_access *ol_access_get(ol_host *host, const char *repository)
{
	ol_access *access;

	pthread_mutex_lock(&host->lock);
	for (access = host->accesses; access && strcmp(access->repository, repository) != 0;
		access = access->next)
		;
	if (!access) {
		access = ol_alloc(sizeof *access);
		access->repository = ol_strdup(repository);
		access->next = host->accesses;
		host->accesses = access;
	}
	pthread_mutex_unlock(&host->lock);
	return access;
}

void ol_access_free_all(ol_host *host)
{
	while (host->accesses) {
		ol_access *next = host->accesses->next;

		free(host->accesses->repository);
		free(host->accesses);
		host->accesses = next;
	}
}

int ol_access_header(struct ol_registry *registry, ol_access *access, char **out, unsigned *serial,
	ol_error *err)
{
	(void)registry;
	(void)access;
	(void)err;
	*out = NULL;
	*serial = 0;
	return OL_OK;
}

int ol_access_refused(struct ol_registry *registry, ol_access *access, const ol_reply *reply,
	unsigned serial, bool *again, ol_error *err)
{
	(void)registry;
	(void)access;
	(void)reply;
	(void)serial;
	(void)err;
	*again = false;
	return OL_OK;
}

bool ol_access_has_credentials(ol_access *access)
{
	(void)access;
	return false;
}
