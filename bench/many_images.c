/*
 * many_images COUNT: puts that many tiny images into the store that ORLOP_ROOT names, the way pull
 * and load do. Each has three layers that all share and one of its own, so that a list, a removal
 * or a collection of one meets what it would in a real store. For bench/store.py and the end-to-end
 * tests; the names are bench.example/app-I:N, ten tags a repository.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "image/layer_take_priv.h"

#define TAR_BYTES 2048
#define SHARED    3

/* One file in a ustar archive. Its fields need not end with a NUL.
 * NOLINTBEGIN(bugprone-not-null-terminated-result) */
static void make_tar(char tar[TAR_BYTES], const char *name, const char *text)
{
	unsigned sum = 0;

	memset(tar, 0, TAR_BYTES);
	(void)snprintf(tar, 100, "%s", name);
	(void)snprintf(tar + 100, 8, "%07o", 0644U);
	(void)snprintf(tar + 108, 8, "%07o", 0U);
	(void)snprintf(tar + 116, 8, "%07o", 0U);
	(void)snprintf(tar + 124, 12, "%011o", (unsigned)strlen(text));
	(void)snprintf(tar + 136, 12, "%011o", 1700000000U);
	memset(tar + 148, ' ', 8);
	tar[156] = '0';
	memcpy(tar + 257, "ustar\00000", 8);
	for (size_t i = 0; i < 512; i++)
		sum += (unsigned char)tar[i];
	(void)snprintf(tar + 148, 8, "%06o", sum);
	memcpy(tar + 512, text, strlen(text));
}
/* NOLINTEND(bugprone-not-null-terminated-result) */

static int put_layer(ol_incoming *incoming, const char *name, const char *text, ol_layer_taken *out,
	ol_error *err)
{
	char tar[TAR_BYTES];
	ol_reader *reader;
	int rc;

	make_tar(tar, name, text);
	reader = ol_reader_of_memory(tar, sizeof tar);
	rc = ol_layer_take(incoming, reader, &(ol_layer_take_options){ 0 }, out, err);
	ol_reader_close(reader);
	return rc;
}

static int put_document(ol_incoming *incoming, const ol_str *text, ol_digest *out, ol_error *err)
{
	int rc;

	*out = ol_digest_of(OL_SHA256, text->data, text->size);
	rc = ol_lease_add(incoming->lease, out, err);
	return rc < 0 ? rc
		      : ol_blob_put(incoming->session->store, out, ol_buf_view(text), false, err);
}

static int put_config(ol_incoming *incoming, unsigned number, const ol_layer_taken *layers,
	ol_digest *out, size_t *size, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(8192);
	int rc;

	(void)ol_str_addf(&text,
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2024-01-01T%02u:%02u:%"
		"02uZ"
		"\",\"config\":{\"Env\":[\"PATH=/usr/bin:/bin\",\"N=%u\"],\"Cmd\":[\"/bin/app\"]},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
		number / 3600 % 24, number / 60 % 60, number % 60, number);
	for (size_t i = 0; i <= SHARED; i++)
		(void)ol_str_addf(
			&text, "%s\"%s\"", i ? "," : "", ol_digest_format(&layers[i].diff_id).text);
	(void)ol_str_add(&text, "]}}");
	*size = text.size;
	rc = ol_str_error(&text, err);
	return rc < 0 ? rc : put_document(incoming, &text, out, err);
}

static int put_manifest(ol_incoming *incoming, unsigned number, const ol_layer_taken *layers,
	ol_digest *out, ol_document **document, ol_error *err)
{
	ol_auto_str ol_str text = OL_STR(8192);
	ol_digest config;
	size_t config_size = 0;
	int rc = put_config(incoming, number, layers, &config, &config_size, err);

	if (rc < 0)
		return rc;
	(void)ol_str_addf(&text,
		"{\"schemaVersion\":2,\"mediaType\":\"" OL_MEDIA_OCI_MANIFEST
		"\",\"config\":{\"mediaType\":\"" OL_MEDIA_OCI_CONFIG
		"\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[",
		ol_digest_format(&config).text, config_size);
	for (size_t i = 0; i <= SHARED; i++)
		(void)ol_str_addf(&text,
			"%s{\"mediaType\":\"" OL_MEDIA_OCI_LAYER
			"\",\"digest\":\"%s\",\"size\":%llu}",
			i ? "," : "", ol_digest_format(&layers[i].blob).text,
			(unsigned long long)layers[i].blob_size);
	(void)ol_str_add(&text, "]}");
	incoming->resolved.size = text.size;
	rc = put_document(incoming, &text, out, err);
	return rc < 0 ? rc : ol_document_parse(ol_buf_view(&text), NULL, document, err);
}

static int get_config(void *ctx, const ol_descriptor *descriptor, ol_config **out, ol_error *err)
{
	return ol_config_load(ctx, &descriptor->digest, out, err);
}

static int put_parts(
	ol_incoming *incoming, unsigned number, const ol_layer_taken *shared, ol_error *err)
{
	const ol_incoming_source source = { get_config, incoming->session->store };
	ol_layer_taken layers[SHARED + 1] = { shared[0], shared[1], shared[2] };
	ol_document *document = NULL;
	char text[32], name[512];
	int rc;

	(void)snprintf(text, sizeof text, "image %u", number);
	(void)snprintf(name, sizeof name, "bench.example/app-%u:%u", number / 10, number % 10);
	rc = put_layer(incoming, "own", text, &layers[SHARED], err);
	if (rc == OL_OK)
		rc = put_manifest(
			incoming, number, layers, &incoming->resolved.digest, &document, err);
	if (rc < 0)
		return rc;
	(void)snprintf(incoming->resolved.media_type, sizeof incoming->resolved.media_type,
		OL_MEDIA_OCI_MANIFEST);
	rc = ol_incoming_add(incoming, &incoming->resolved.digest, document, NULL, &source, err);
	if (rc == OL_OK)
		rc = ol_incoming_chains(incoming, err);
	return rc < 0 ? rc
		      : ol_incoming_keep(incoming, &(ol_keep_as){ .name = name, .repo = "" }, err);
}

static int put_image(
	ol_session *session, unsigned number, const ol_layer_taken *shared, ol_error *err)
{
	ol_incoming incoming = { .session = session };
	int rc = ol_lease_begin(session->store, "bench", &incoming.lease, err);

	if (rc == OL_OK)
		rc = put_parts(&incoming, number, shared, err);
	ol_incoming_done(&incoming);
	return rc;
}

static int put_all(ol_session *session, unsigned count, ol_error *err)
{
	ol_incoming base = { .session = session }; /* its lease holds the shared layers */
	ol_layer_taken shared[SHARED];
	int rc = ol_lease_begin(session->store, "bench", &base.lease, err);

	for (unsigned i = 0; rc == OL_OK && i < SHARED; i++) {
		char name[16];

		(void)snprintf(name, sizeof name, "shared-%u", i);
		rc = put_layer(&base, name, name, &shared[i], err);
	}
	for (unsigned i = 0; rc == OL_OK && i < count; i++)
		rc = put_image(session, i, shared, err);
	ol_incoming_done(&base);
	return rc;
}

int main(int argc, char **argv)
{
	ol_auto(ol_session_close) ol_session *session = NULL;
	ol_error err = { 0 };
	int rc;

	if (argc != 2 || strtoul(argv[1], NULL, 10) == 0) {
		(void)fputs("usage: many_images COUNT (into the store of ORLOP_ROOT)\n", stderr);
		return 2;
	}
	rc = ol_session_open(&(ol_session_options){ .retries = -1 }, &session, &err);
	if (rc == OL_OK)
		rc = put_all(session, (unsigned)strtoul(argv[1], NULL, 10), &err);
	if (rc == OL_OK)
		return 0;
	(void)fprintf(stderr, "many_images: %s\n", err.text);
	return 1;
}
