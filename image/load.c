/*
 * Loading an archive, as a story:
 *
 *	pass      each member once, as it comes: layers into the store        load_receive.c
 *	read      which images there are, and what they are called            load_layout.c
 *	choose    which are wanted; -t                                        load_names.c
 *	check     every image: documents, layers, chains; nothing is listed   load_gather.c
 *	sync      all of it is on disk
 *	keep      edges and names: now they are listed                        incoming.c
 *
 * All stays under one lease; what no image refers to in the end is collected with it. Of a folder
 * nothing passes: its files are taken as check asks for them.
 */
#include "image/load.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "image/archive_reader_priv.h"
#include "image/input_priv.h"
#include "image/load_priv.h"
#include "store/gc.h"

static int receive_member(ol_load_state *load, ol_archive_reader *archive,
	const ol_archive_member *member, ol_error *err)
{
	ol_archive_path name, target;
	int rc = ol_archive_path_of(member->name, &name, err);

	if (rc < 0 || member->type == OL_MEMBER_OTHER)
		return rc;
	if (member->type == OL_MEMBER_FILE)
		return ol_load_receive(
			load, name.text, member->size, ol_archive_reader_data(archive), err);
	rc = ol_archive_path_follow(
		name.text, member->target, member->type == OL_MEMBER_HARDLINK, &target, err);
	if (rc < 0)
		return rc;
	return ol_archive_files_add(&load->files,
		(ol_archive_file){ .name = ol_strdup(name.text),
			.kind = OL_ARCHIVE_LINK,
			.target = ol_strdup(target.text) },
		err);
}

static int pass(ol_load_state *load, int fd, ol_error *err)
{
	ol_auto(ol_reader_close) ol_reader *input =
		ol_input_reader(fd, load->passing.session->options.cancel);
	ol_auto(ol_archive_reader_close) ol_archive_reader *archive = NULL;
	ol_archive_member member;
	int rc;

	rc = ol_archive_reader_open(input, &archive, err);
	while (rc >= 0 && (rc = ol_archive_reader_next(archive, &member, err)) == 1)
		rc = receive_member(load, archive, &member, err);
	return rc;
}

static int open_input(ol_load_state *load, int *out, ol_error *err)
{
	struct stat st;
	int rc = ol_input_open(load->options->input, out, &st, err);

	if (rc < 0)
		return rc;
	if (S_ISDIR(st.st_mode))
		load->dir_fd = *out;
	else
		(void)posix_fadvise(*out, 0, 0, POSIX_FADV_SEQUENTIAL);
	return OL_OK;
}

/* Session and lease are those of the load. */
static ol_incoming begin_image(const ol_load_state *load)
{
	return (ol_incoming){ .session = load->passing.session, .lease = load->passing.lease };
}

static void end_image(ol_incoming *incoming)
{
	incoming->lease = NULL;
	ol_incoming_done(incoming);
}

static void forget_image(ol_load_state *load, size_t index)
{
	ol_load_image *image = &load->images[index];

	for (size_t i = 0; i < image->name_count; i++)
		free(image->names[i]);
	free(image->names);
	free(image->media_type);
	free(image->called);
	load->count--;
	memmove(image, image + 1, (load->count - index) * sizeof *image);
}

/* Everything that can be wrong is found here, before the first image is listed. */
static int check(ol_load_state *load, ol_error *err)
{
	ol_error elsewhere = { 0 };

	for (size_t i = 0; i < load->count;) {
		ol_incoming incoming = begin_image(load);
		ol_load_image *image = &load->images[i];
		bool none = false;
		int rc = ol_load_gather(load, image, &incoming, &none, err);

		if (rc == OL_OK)
			rc = ol_incoming_chains(&incoming, err);
		if (rc == OL_OK)
			image->config = incoming.images[0].document->config.digest;
		end_image(&incoming);
		if (rc < 0)
			(void)ol_wrap(err, rc, "image %.255s", image->called);
		if (rc < 0 && !none)
			return rc;
		if (rc == OL_OK) {
			i++;
			continue;
		}
		elsewhere = err ? *err : elsewhere;
		forget_image(load, i);
	}
	if (load->count > 0)
		return OL_OK;
	if (err)
		*err = elsewhere;
	return OL_ENOTFOUND;
}

static int keep_image(ol_load_state *load, const ol_load_image *image, ol_error *err)
{
	ol_incoming incoming = begin_image(load);
	ol_keep_as as = { .name = "", .repo = "", .imported = true, .pinned = load->options->pin };
	bool none = false;
	int rc = ol_load_gather(load, image, &incoming, &none, err);

	if (rc == OL_OK && image->name_count == 0)
		rc = ol_incoming_keep(&incoming, &as, err);
	for (size_t i = 0; rc == OL_OK && i < image->name_count; i++) {
		as.name = image->names[i];
		rc = ol_incoming_keep(&incoming, &as, err);
	}
	end_image(&incoming);
	return rc;
}

static int sync_store(const ol_load_state *load, ol_error *err)
{
	const ol_session *session = load->passing.session;

	ol_tell(&session->options.listener,
		&(ol_event){ .kind = OL_EVENT_PROGRESS, .text = "Writing to disk" });
	return ol_store_sync(session->store, session->options.cancel, err);
}

static int run(ol_load_state *load, int fd, ol_error *err)
{
	int rc = load->dir_fd < 0 ? pass(load, fd, err) : OL_OK;

	if (rc == OL_OK)
		rc = ol_load_read(load, err);
	if (rc == OL_OK)
		rc = ol_load_choose(load, err);
	if (rc == OL_OK)
		rc = check(load, err);
	if (rc == OL_OK)
		rc = sync_store(load, err);
	if (rc < 0 || load->options->nameless)
		return rc;
	for (size_t i = 0; rc == OL_OK && i < load->count; i++)
		rc = keep_image(load, &load->images[i], err);
	return rc == OL_OK ? sync_store(load, err) : rc;
}

static void tell_loaded(
	const ol_load_state *load, void (*call)(void *ctx, const ol_loaded *loaded), void *ctx)
{
	for (size_t i = 0; i < load->count; i++) {
		const ol_load_image *image = &load->images[i];
		ol_loaded loaded = { .name = "", .root = image->root, .config = image->config };

		if (image->name_count == 0 || load->options->nameless)
			call(ctx, &loaded);
		for (size_t k = 0; !load->options->nameless && k < image->name_count; k++) {
			loaded.name = image->names[k];
			call(ctx, &loaded);
		}
	}
}

int ol_load(ol_session *session, const ol_load_options *options,
	void (*call)(void *ctx, const ol_loaded *loaded), void *ctx, ol_error *err)
{
	ol_load_state load = {
		.passing = { .session = session }, .options = options, .dir_fd = -1
	};
	ol_autofd int fd = -1;
	int rc = open_input(&load, &fd, err);

	if (rc == OL_OK)
		rc = ol_lease_begin(session->store, "load", &load.passing.lease, err);
	if (rc == OL_OK)
		rc = run(&load, fd, err);
	if (rc == OL_OK && call)
		tell_loaded(&load, call, ctx);
	if (rc == OL_OK && options->nameless && options->lease)
		*options->lease = ol_steal(&load.passing.lease);
	ol_incoming_done(&load.passing);
	/* What came in and is part of no image is not left to take up the disk. */
	if (load.unused > 0 || rc < 0)
		(void)ol_gc(session->store, NULL, &(ol_gc_result){ 0 }, NULL);
	while (load.count)
		forget_image(&load, load.count - 1);
	free(load.images);
	free(load.kept);
	ol_archive_files_done(&load.files);
	return rc < 0 ? ol_wrap(err, rc, "cannot load %.255s", ol_input_name(options->input))
		      : OL_OK;
}
