/* An archive in memory, as load reads it: members, their paths, links, documents. */
#include <stdlib.h>

#include "base/alloc.h"
#include "image/archive_docker_priv.h"
#include "image/archive_files_priv.h"
#include "image/archive_name_priv.h"
#include "image/archive_reader_priv.h"
#include "tests/fuzz/fuzz.h"

#define BYTES_MAX ((size_t)4 << 20) /* what a small input may inflate to, here */

static void check_path(const char *path)
{
	if (*path == '/' || strstr(path, "//") || strcmp(path, "..") == 0 ||
		strncmp(path, "../", 3) == 0 || strstr(path, "/../") ||
		(*path && path[strlen(path) - 1] == '/'))
		abort();
}

static int receive(ol_archive_files *files, ol_archive_reader *archive,
	const ol_archive_member *member, size_t *total)
{
	ol_archive_file file = { .kind = OL_ARCHIVE_OTHER };
	ol_auto_buf ol_buf bytes = OL_BUF(BYTES_MAX);
	ol_archive_path name, target = { "" };
	bool is_blob;
	size_t got = 1;
	int rc = ol_archive_path_of(member->name, &name, NULL);

	if (rc < 0)
		return rc;
	check_path(name.text);
	(void)ol_archive_path_digest(name.text, &is_blob);
	if (member->type == OL_MEMBER_HARDLINK || member->type == OL_MEMBER_SYMLINK) {
		rc = ol_archive_path_follow(name.text, member->target,
			member->type == OL_MEMBER_HARDLINK, &target, NULL);
		if (rc < 0)
			return rc;
		check_path(target.text);
		file.kind = OL_ARCHIVE_LINK;
		file.target = ol_strdup(target.text);
	}
	while (rc == OL_OK && got > 0 && member->type == OL_MEMBER_FILE) {
		char data[4096];

		rc = ol_reader_read(ol_archive_reader_data(archive), data, sizeof data, &got, NULL);
		*total += rc == OL_OK ? got : 0;
		if (rc == OL_OK && *total > BYTES_MAX)
			rc = OL_ELIMIT;
		if (rc == OL_OK)
			(void)ol_buf_add(&bytes, data, got);
	}
	if (rc < 0) {
		ol_archive_file_done(&file);
		return rc;
	}
	if (member->type == OL_MEMBER_FILE) {
		file.kind = OL_ARCHIVE_DOCUMENT;
		file.size = bytes.size;
		file.digest = ol_digest_of(OL_SHA256, bytes.data ? bytes.data : "", bytes.size);
		file.bytes = ol_buf_steal(&bytes);
	}
	file.name = ol_strdup(name.text);
	return ol_archive_files_add(files, file, NULL);
}

static void read_documents(const ol_archive_files *files)
{
	ol_archive_file *file = NULL, *found = NULL;
	ol_auto(ol_docker_manifest_free) ol_docker_manifest *manifest = NULL;

	if (ol_archive_files_find(files, "manifest.json", &file, NULL) < 0 || !file->bytes)
		return;
	if (ol_docker_manifest_parse(
		    ol_view_from(file->bytes, (size_t)file->size), &manifest, NULL) < 0)
		return;
	for (size_t i = 0; i < manifest->count; i++)
		for (size_t k = 0; k < manifest->images[i].layer_count; k++)
			if (ol_archive_files_find(
				    files, manifest->images[i].layers[k], &found, NULL) == OL_OK &&
				found->kind == OL_ARCHIVE_LINK)
				abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto(ol_reader_close) ol_reader *from = ol_reader_of_memory(data, size);
	ol_auto(ol_archive_reader_close) ol_archive_reader *archive = NULL;
	ol_archive_files files = { 0 };
	ol_archive_member member;
	size_t total = 0;
	int rc = ol_archive_reader_open(from, &archive, NULL);

	while (rc >= 0 && ol_archive_reader_next(archive, &member, NULL) == 1)
		rc = receive(&files, archive, &member, &total);
	read_documents(&files);
	ol_archive_files_done(&files);
	return 0;
}
