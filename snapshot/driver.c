/*
 * The table of drivers, best first. A new one is a file and a row here.
 */
#include "snapshot/driver.h"

#include <stdio.h>

#include "base/alloc.h"
#include "snapshot/driver_priv.h"

const ol_driver *const *ol_drivers(void)
{
	static const ol_driver *const rows[] = { &ol_driver_erofs, &ol_driver_dir, NULL };

	return rows;
}

const ol_driver *ol_driver_named(const char *name)
{
	for (const ol_driver *const *row = ol_drivers(); *row; row++)
		if (strcmp((*row)->name, name) == 0)
			return *row;
	return strcmp(ol_driver_lazy.name, name) == 0 ? &ol_driver_lazy : NULL;
}

static int choose_named(
	ol_store *store, const char *want, const ol_driver **out, char why[256], ol_error *err)
{
	const ol_driver *driver = ol_driver_named(want);
	int rc;

	if (!driver || driver == &ol_driver_lazy) {
		ol_fail(err, OL_EINVAL, "there is no layer driver \"%s\"", want);
		return ol_hint(err, OL_EINVAL, "the drivers are erofs and dir");
	}
	rc = driver->probe(store, err);
	if (rc < 0)
		return ol_wrap(err, rc, "driver %s cannot be used here", want);
	(void)snprintf(why, 256, "asked for");
	*out = driver;
	return OL_OK;
}

int ol_driver_choose(
	ol_store *store, const char *want, const ol_driver **out, char why[256], ol_error *err)
{
	ol_error first = { 0 };
	int rc = OL_OK;

	if (want)
		return choose_named(store, want, out, why, err);
	for (const ol_driver *const *row = ol_drivers(); *row; row++) {
		ol_error refusal = { 0 };

		rc = (*row)->probe(store, &refusal);
		if (rc == OL_OK) {
			if (row == ol_drivers())
				(void)snprintf(why, 256, "the best there is");
			else
				(void)snprintf(why, 256, "%s cannot be used here: %.200s",
					(*ol_drivers())->name, first.text);
			*out = *row;
			return OL_OK;
		}
		if (row == ol_drivers())
			first = refusal;
		if (err)
			*err = refusal;
	}
	return ol_wrap(err, rc, "no layer driver can be used here");
}

void ol_root_attributes_add(ol_root_attributes *attributes, ol_view name, ol_view value)
{
	ol_xattr *added;

	attributes->xattrs = ol_realloc_array(
		attributes->xattrs, attributes->xattr_count + 1, sizeof *attributes->xattrs);
	added = &attributes->xattrs[attributes->xattr_count++];
	added->name = ol_view_from(ol_strndup(name.data, name.size), name.size);
	added->value = ol_view_from(ol_strndup(value.data, value.size), value.size);
}

void ol_root_attributes_done(ol_root_attributes *attributes)
{
	for (size_t i = 0; i < attributes->xattr_count; i++) {
		free((char *)(uintptr_t)attributes->xattrs[i].name.data);
		free((char *)(uintptr_t)attributes->xattrs[i].value.data);
	}
	free(attributes->xattrs);
	*attributes = (ol_root_attributes){ 0 };
}
