/*
 * Layers that other tools made lazy: OCI layouts in the folders of $ORLOP_LAZY_LAYOUTS (apart by
 * ":"), beside those that fixtures/make-lazy makes. Each layer's table of contents is found, bound
 * and built as a pull does, and the tree compared with the one of the whole tar.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/limits.h"
#include "manifest/soci.h"
#include "snapshot/decode.h"
#include "snapshot/erofs_format.h"
#include "tests/lazy_box.h"

#define BLOB_BYTES_MAX ((size_t)1 << 30)
#define TAR_BYTES_MAX  ((size_t)4 << 30)

static ol_buf read_blob(const char *layout, const ol_digest *digest)
{
	ol_autofree char *path = ol_text("%s/blobs/%s/%s", layout,
		ol_algorithm_name(digest->algorithm), ol_digest_hex(digest).text);
	ol_buf bytes = OL_BUF(BLOB_BYTES_MAX);
	ol_error err = { 0 };

	if (ol_file_read(AT_FDCWD, path, false, &bytes, &err) < 0)
		fail_msg("%s: %s", path, err.text);
	return bytes;
}

static ol_document *read_document(const char *layout, const ol_descriptor *descriptor)
{
	ol_autofree char *path = ol_text("%s/index.json", layout);
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	ol_document *document = NULL;
	ol_error err = { 0 };

	if (descriptor)
		bytes = read_blob(layout, &descriptor->digest);
	else
		assert_int_equal(OL_OK, ol_file_read(AT_FDCWD, path, false, &bytes, &err));
	if (ol_document_parse(ol_buf_view(&bytes), NULL, &document, &err) < 0)
		fail_msg("%s: %s", layout, err.text);
	return document;
}

static ol_buf decode(ol_view bytes)
{
	ol_buf out = OL_BUF(TAR_BYTES_MAX);
	ol_auto(ol_decoder_free) ol_decoder *decoder = NULL;
	ol_decode_step step = { .in = (const unsigned char *)bytes.data, .in_size = bytes.size };
	ol_error err = { 0 };

	assert_int_equal(OL_OK,
		ol_decoder_new(ol_compression_sniff(bytes.data, bytes.size), &decoder, &err));
	do {
		step.out_size = (size_t)1 << 20;
		step.out = (unsigned char *)ol_buf_room(&out, step.out_size);
		if (ol_decoder_run(decoder, &step, &err) < 0)
			fail_msg("%s", err.text);
		out.size += step.made;
	} while (step.in_size > 0 || step.out_size == 0);
	return out;
}

static ol_view part(ol_view blob, const ol_toc_range *range)
{
	return (ol_view){ blob.data + range->offset, range->size };
}

/* The table as a pull has it; false: there is none. */
static bool find_toc(
	const ol_descriptor *layer, ol_view blob, ol_lazy_toc *out, ol_buf *toc, ol_buf *split)
{
	const size_t tail = blob.size < 4096 ? blob.size : 4096;
	ol_toc_binding binding;
	ol_toc_place place;
	ol_error err = { 0 };
	ol_digest got;
	int rc = ol_toc_binding_of(layer, &binding, &err);

	if (rc == OL_ENOTFOUND)
		return false;
	if (rc < 0)
		fail_msg("%s", err.text);
	place = binding.place;
	if (place.toc.size == 0 &&
		ol_toc_footer_parse((ol_view){ blob.data + blob.size - tail, tail }, blob.size,
			&place, &err) < 0)
		fail_msg("%s", err.text);
	if (place.format == OL_TOC_ESTARGZ_EXTERNAL)
		return false;
	*toc = decode(part(blob, &place.toc));
	if (!binding.toc_is_raw) {
		got = ol_digest_of(OL_SHA256, blob.data + place.toc.offset, (size_t)place.toc.size);
		assert_true(ol_digest_eq(&binding.toc, &got));
	}
	if (place.tar_split.size > 0)
		*split = decode(part(blob, &place.tar_split));
	*out = (ol_lazy_toc){ .format = place.format == OL_TOC_ESTARGZ ? OL_LAZY_ESTARGZ
								       : OL_LAZY_ZSTD_CHUNKED,
		.bytes = ol_buf_view(toc),
		.place = place.toc,
		.tar_split = ol_buf_view(split) };
	return true;
}

/* Of the layout TAR: the same bytes. But Go's reader of tars, and so soci-snapshotter, does not see
 * the zeros behind a tar's end: the device may be shorter by them, and the UUID, which all bytes go
 * into, another. */
static void check_index(const lazy_box *lazy, const lazy_box *eager)
{
	ol_auto_buf ol_buf got = lazy_box_index(lazy), want = lazy_box_index(eager);
	const size_t uuid = OL_EROFS_SUPER_AT + 48;
	const size_t blocks = OL_EROFS_SUPER_AT + sizeof(struct ol_erofs_super) + 64;

	if (strcmp(lazy->table.about.format, "soci") == 0) {
		assert_true(ol_get32((const uint8_t *)got.data + blocks) <=
			    ol_get32((const uint8_t *)want.data + blocks));
		memcpy(got.data + blocks, want.data + blocks, 4);
		memcpy(got.data + uuid, want.data + uuid, 16);
	}
	assert_int_equal(want.size, got.size);
	assert_memory_equal(want.data, got.data, want.size);
}

static void check_equal(const char *label, const lazy_box *lazy, const lazy_box *eager)
{
	const bool coarse = lazy->table.about.layout == OL_LAZY_PACKED;
	ol_auto_str ol_str want = lazy_box_text(eager, coarse);
	ol_auto_str ol_str got = lazy_box_text(lazy, coarse);
	const char *a = ol_str_text(&want), *b = ol_str_text(&got);
	size_t same = 0;

	assert_int_equal(eager->built.built.leans, lazy->built.built.leans);
	assert_int_equal(eager->built.built.entries, lazy->built.built.entries);
	while (same < want.size && same < got.size && a[same] == b[same])
		same++;
	if (same < want.size || same < got.size) {
		while (same > 0 && a[same - 1] != '\n')
			same--;
		fail_msg("%s: eager %.*s, lazy %.*s", label, (int)strcspn(a + same, "\n"), a + same,
			(int)strcspn(b + same, "\n"), b + same);
	}
	if (!coarse)
		check_index(lazy, eager);
}

/* The layer's ztoc; false: there is none. */
static bool find_ztoc(const char *layout, const ol_soci_index *index, const ol_descriptor *layer,
	ol_lazy_toc *out, ol_buf *toc)
{
	const ol_soci_layer *found = ol_soci_layer_of(index, &layer->digest);

	if (!found)
		return false;
	*toc = read_blob(layout, &found->ztoc->digest);
	*out = (ol_lazy_toc){ .format = OL_LAZY_SOCI, .bytes = ol_buf_view(toc) };
	return true;
}

/* Prints what came of it. */
static void check_layer(const char *layout, const ol_soci_index *index, const ol_descriptor *layer)
{
	ol_autofree char *label =
		ol_text("%s %s", strrchr(layout, '/') + 1, ol_digest_short(&layer->digest).text);
	ol_auto_buf ol_buf blob = read_blob(layout, &layer->digest);
	ol_auto_buf ol_buf toc_bytes = OL_BUF(0), split = OL_BUF(0), tar = OL_BUF(0);
	ol_lazy_toc toc;
	lazy_box lazy, eager;

	if (!find_ztoc(layout, index, layer, &toc, &toc_bytes) &&
		!find_toc(layer, ol_buf_view(&blob), &toc, &toc_bytes, &split)) {
		print_message("%s: no table of contents\n", label);
		return;
	}
	lazy = lazy_box_build(&toc, ol_buf_view(&blob));
	if (lazy.rc == OL_EUNSUPPORTED) {
		print_message("%s: %s\n", label, lazy.err.text);
	} else if (lazy.rc < 0) {
		fail_msg("%s: %s", label, lazy.err.text);
	} else {
		tar = decode(ol_buf_view(&blob));
		eager = lazy_box_eager(ol_buf_view(&tar));
		if (eager.rc < 0) {
			/* Debian's skopeo writes sparse files so: nobody can pull such a layer. */
			print_message("%s: cannot be pulled whole: %s\n", label, eager.err.text);
			lazy_box_done(&eager);
			lazy_box_done(&lazy);
			return;
		}
		lazy_box_fill(&lazy, ol_buf_view(&blob));
		check_equal(label, &lazy, &eager);
		print_message("%s: %s, %llu entries, %zu pieces, %zu extents, landmark %llu\n",
			label, lazy.table.about.format,
			(unsigned long long)lazy.built.built.entries, lazy.table.piece_count,
			lazy.table.extent_count, (unsigned long long)lazy.table.about.prefetch_end);
		lazy_box_done(&eager);
	}
	lazy_box_done(&lazy);
}

static void check_layout(const char *layout)
{
	ol_auto(ol_document_free) ol_document *top = read_document(layout, NULL);
	ol_auto(ol_document_free) ol_document *named = read_document(layout, &top->manifests[0]);
	ol_auto(ol_document_free) ol_document *inner = NULL;
	const ol_document *manifest = named;
	ol_soci_index index = { 0 };
	ol_digest digest;

	if (named->kind == OL_DOCUMENT_INDEX)
		inner = read_document(layout, &named->manifests[0]);
	if (inner)
		manifest = inner;
	if (ol_soci_binding_of(manifest, &digest, NULL) == OL_OK) {
		ol_auto_buf ol_buf bytes = read_blob(layout, &digest);

		assert_int_equal(OL_OK, ol_soci_index_parse(ol_buf_view(&bytes), &index, NULL));
	}
	for (size_t i = 0; i < manifest->layer_count; i++)
		check_layer(layout, &index, &manifest->layers[i]);
	ol_soci_index_done(&index);
}

static void layers_of_other_tools_are_as_when_pulled_whole(void **state)
{
	const char *layouts = getenv("ORLOP_LAZY_LAYOUTS");
	ol_autofree char *list = NULL;
	char *next;

	(void)state;
	if (!layouts) {
		print_message("skipped: ORLOP_LAZY_LAYOUTS names no layouts\n");
		skip();
	}
	list = ol_strdup(layouts);
	next = list;
	while (next) {
		const char *layout = strsep(&next, ":");

		if (*layout)
			check_layout(layout);
	}
}

static void what_our_own_tool_makes_is_as_when_pulled_whole(void **state)
{
	static const char *const formats[] = { "estargz", "estargz-47", "zstd-chunked", "zstd-old",
		"zstd-stargz", "gzip" };
	char dir[] = "/tmp/lazy-images-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	OL_EACH (formats, format) {
		ol_autofree char *layout = ol_text("%s/%s", dir, *format);
		ol_autofree char *command = ol_text("%s %s %s", ORLOP_MAKE_LAZY, *format, layout);

		assert_int_equal(0, system(command)); /* NOLINT(cert-env33-c): our own script */
		check_layout(layout);
	}
	assert_int_equal(OL_OK, ol_remove_tree(AT_FDCWD, dir, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_of_other_tools_are_as_when_pulled_whole),
		cmocka_unit_test(what_our_own_tool_makes_is_as_when_pulled_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
