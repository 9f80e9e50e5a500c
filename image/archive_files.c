#include <search.h>
#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "image/archive_files_priv.h"

void ol_archive_file_done(ol_archive_file *file)
{
	free(file->name);
	free(file->bytes);
	free(file->layer);
	free(file->target);
	free(file->failed);
	*file = (ol_archive_file){ 0 };
}

static void free_file(void *file)
{
	ol_archive_file_done(file);
	free(file);
}

void ol_archive_files_done(ol_archive_files *files)
{
	tdestroy(files->tree, free_file);
	*files = (ol_archive_files){ 0 };
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const ol_archive_file *)a)->name, ((const ol_archive_file *)b)->name);
}

/* Who reads the first and who reads the last of two must see the same archive. */
static bool is_same(const ol_archive_file *a, const ol_archive_file *b)
{
	if (a->kind != b->kind || (a->failed == NULL) != (b->failed == NULL))
		return false;
	switch (a->kind) {
	case OL_ARCHIVE_DOCUMENT:
		return ol_digest_eq(&a->digest, &b->digest);
	case OL_ARCHIVE_LAYER:
		return a->layer && b->layer && ol_digest_eq(&a->layer->blob, &b->layer->blob);
	case OL_ARCHIVE_LINK:
		return strcmp(a->target, b->target) == 0;
	case OL_ARCHIVE_OTHER:
		return a->size == b->size;
	}
	return false;
}

int ol_archive_files_add(ol_archive_files *files, ol_archive_file file, ol_error *err)
{
	ol_archive_file *own = ol_memdup(&file, sizeof file), **slot;
	bool same;

	if (files->count >= OL_ARCHIVE_FILES_MAX) {
		free_file(own);
		return ol_fail(err, OL_ELIMIT, "the archive has more than %zu files",
			OL_ARCHIVE_FILES_MAX);
	}
	slot = (ol_archive_file **)tsearch(own, &files->tree, by_name);
	if (!slot) {
		free_file(own);
		return ol_fail(err, OL_ESYSTEM, "no memory");
	}
	if (*slot == own) {
		files->count++;
		files->bytes += own->bytes ? own->size : 0;
		return OL_OK;
	}
	same = is_same(*slot, own);
	free_file(own);
	return same ? OL_OK
		    : ol_fail(err, OL_ECORRUPT, "%.255s: is twice in the archive, and not the same",
			      (*slot)->name);
}

int ol_archive_files_find(
	const ol_archive_files *files, const char *name, ol_archive_file **out, ol_error *err)
{
	const char *at = name;

	for (unsigned i = 0; i <= OL_ARCHIVE_LINKS_MAX; i++) {
		ol_archive_file key = { .name = (char *)at };
		ol_archive_file **found = (ol_archive_file **)tfind(&key, &files->tree, by_name);

		if (!found && i == 0)
			return ol_fail(err, OL_ENOTFOUND, "%.255s: is not there", name);
		if (!found)
			return ol_fail(err, OL_ENOTFOUND,
				"%.200s: is a link to %.200s, which is not there", name, at);
		if ((*found)->kind != OL_ARCHIVE_LINK) {
			*out = *found;
			return OL_OK;
		}
		at = (*found)->target;
	}
	return ol_fail(err, OL_ECORRUPT, "%.255s: its links lead in a circle", name);
}
