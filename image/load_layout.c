/* What an archive or folder is, by the documents that there are, and which images an OCI layout's
 * index.json tells of. */
#include <string.h>

#include "base/alloc.h"
#include "image/load_priv.h"

#define REF_NAME  "org.opencontainers.image.ref.name"
#define FULL_NAME "io.containerd.image.name"

ol_load_image *ol_load_image_add(
	ol_load_state *load, const ol_digest *root, const char *media_type, const char *called)
{
	for (size_t i = 0; i < load->count; i++)
		if (ol_digest_eq(&load->images[i].root, root))
			return &load->images[i];
	OL_GROW(load->images, load->count, load->cap);
	load->images[load->count] = (ol_load_image){
		.root = *root, .media_type = ol_strdup(media_type), .called = ol_strdup(called)
	};
	return &load->images[load->count++];
}

void ol_load_image_name(ol_load_state *load, ol_load_image *image, const char *name)
{
	ol_error why = { 0 };
	ol_ref_string text;
	ol_ref ref;

	if (ol_ref_parse(name, &ref, &why) < 0) {
		ol_tell_text(&load->passing.session->options.listener, OL_EVENT_NOTE,
			"the archive has a name that is none: %s", why.text);
		return;
	}
	if (!*ref.tag)
		return; /* name@digest: it has no tag */
	ref.digest = (ol_digest){ 0 };
	text = ol_ref_format(&ref);
	for (size_t i = 0; i < image->name_count; i++)
		if (strcmp(image->names[i], text.text) == 0)
			return;
	OL_GROW(image->names, image->name_count, image->name_cap);
	image->names[image->name_count++] = ol_strdup(text.text);
}

/* The full name wins; a tag alone, as skopeo writes it, needs a name to belong to. */
static void name_entry(ol_load_state *load, ol_load_image *image, const ol_descriptor *entry)
{
	const char *full = ol_descriptor_annotation(entry, FULL_NAME),
		   *ref = ol_descriptor_annotation(entry, REF_NAME);

	if (full)
		ol_load_image_name(load, image, full);
	else if (ref && strpbrk(ref, "/:"))
		ol_load_image_name(load, image, ref);
	else if (ref && !load->options->tag && !load->options->nameless)
		ol_tell_text(&load->passing.session->options.listener, OL_EVENT_NOTE,
			"the archive calls an image only \"%.128s\": give it a name with -t", ref);
}

static bool is_selected(const ol_load_state *load, const ol_descriptor *entry)
{
	const char *select = load->options->select,
		   *full = ol_descriptor_annotation(entry, FULL_NAME),
		   *ref = ol_descriptor_annotation(entry, REF_NAME), *const texts[] = { full, ref };
	ol_ref want, have;

	if (!select)
		return true;
	for (size_t i = 0; i < 2; i++) {
		if (texts[i] && strcmp(texts[i], select) == 0)
			return true;
		if (texts[i] && strpbrk(texts[i], "/:") &&
			ol_ref_parse(select, &want, NULL) == OL_OK &&
			ol_ref_parse(texts[i], &have, NULL) == OL_OK &&
			strcmp(ol_ref_format(&want).text, ol_ref_format(&have).text) == 0)
			return true;
	}
	return false;
}

static int add_entry(ol_load_state *load, const ol_descriptor *entry, ol_error *err)
{
	const char *full = ol_descriptor_annotation(entry, FULL_NAME),
		   *ref = ol_descriptor_annotation(entry, REF_NAME);

	if (ol_descriptor_is_attestation(entry) || !is_selected(load, entry))
		return OL_OK;
	if (entry->media.kind == OL_MEDIA_SCHEMA1)
		return ol_fail(err, OL_EUNSUPPORTED, "an image of Docker's schema 1");
	if (entry->artifact_type || !ol_digest_is_set(&entry->digest) ||
		(entry->media.kind != OL_MEDIA_MANIFEST && entry->media.kind != OL_MEDIA_INDEX)) {
		ol_tell_text(&load->passing.session->options.listener, OL_EVENT_NOTE,
			"passed over: %s, which is no image",
			entry->artifact_type ? entry->artifact_type : entry->media_type);
		return OL_OK;
	}
	name_entry(load,
		ol_load_image_add(load, &entry->digest, entry->media_type,
			full  ? full
			: ref ? ref
			      : ol_digest_format(&entry->digest).text),
		entry);
	return OL_OK;
}

static int read_index(ol_load_state *load, ol_error *err)
{
	ol_auto(ol_document_free) ol_document *index = NULL;
	ol_auto_buf ol_buf bytes = OL_BUF(OL_MANIFEST_BYTES_MAX);
	int rc = ol_load_bytes(load, "index.json", &bytes, err);

	if (rc < 0)
		return rc;
	rc = ol_document_parse(ol_buf_view(&bytes), OL_MEDIA_OCI_INDEX, &index, err);
	for (size_t i = 0; rc == OL_OK && i < index->manifest_count; i++)
		rc = add_entry(load, &index->manifests[i], err);
	return rc < 0 ? ol_wrap(err, rc, "index.json") : OL_OK;
}

/* image-layout.md "oci-layout file". */
static int check_version(ol_load_state *load, ol_error *err)
{
	ol_auto_buf ol_buf bytes = OL_BUF(OL_ARCHIVE_DOCUMENT_BYTES_MAX);
	ol_auto(ol_json_free) ol_json *json = NULL;
	const char *version;
	int rc = ol_load_bytes(load, "oci-layout", &bytes, err);

	if (rc == OL_OK)
		rc = ol_json_parse(ol_buf_view(&bytes), &json, err);
	if (rc < 0)
		return ol_wrap(err, rc == OL_EINVAL ? OL_ECORRUPT : rc, "oci-layout");
	version = ol_json_text(ol_json_get(json, "imageLayoutVersion"));
	if (!version || strncmp(version, "1.", 2) != 0)
		return ol_fail(err, OL_EUNSUPPORTED, "oci-layout: version \"%.32s\" is not known",
			version ? version : "");
	return OL_OK;
}

/* *there: the file is; also when it is of no use, which reading it tells. */
static int look(ol_load_state *load, const char *name, bool *there, ol_error *err)
{
	ol_archive_file *file = NULL;
	int rc = ol_load_file(load, name, &file, err);

	*there = rc != OL_ENOTFOUND;
	return rc == OL_ENOTFOUND ? OL_OK : rc;
}

int ol_load_read(ol_load_state *load, ol_error *err)
{
	bool layout = false, index = false, docker = false, repositories = false;
	int rc = look(load, "oci-layout", &layout, err);

	if (rc == OL_OK)
		rc = look(load, "index.json", &index, err);
	if (rc == OL_OK)
		rc = look(load, "manifest.json", &docker, err);
	if (rc == OL_OK)
		rc = look(load, "repositories", &repositories, err);
	if (rc == OL_OK && layout)
		rc = check_version(load, err);
	if (rc < 0)
		return rc;
	/* What has both is docker's combined layout: index.json knows more. */
	if (index && (layout || !docker))
		return read_index(load, err);
	if (docker)
		return ol_load_read_docker(load, err);
	if (repositories)
		return ol_load_read_repositories(load, err);
	(void)ol_fail(err, OL_ECORRUPT,
		"holds no images: neither index.json nor manifest.json nor repositories is there");
	return ol_hint(err, OL_ECORRUPT,
		"what `docker export` wrote, or any root file system, is for `orlop import`");
}
