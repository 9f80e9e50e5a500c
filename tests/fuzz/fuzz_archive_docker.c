#include <stdlib.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "image/archive_docker_priv.h"
#include "tests/fuzz/fuzz.h"

static void check_images(ol_view bytes)
{
	ol_auto(ol_docker_manifest_free) ol_docker_manifest *manifest = NULL;

	if (ol_docker_manifest_parse(bytes, &manifest, NULL) < 0)
		return;
	if (manifest->count > OL_ARCHIVE_IMAGES_MAX)
		abort();
	for (size_t i = 0; i < manifest->count; i++) {
		const ol_docker_image *image = &manifest->images[i];

		if (!image->config || image->layer_count > OL_LAYERS_MAX ||
			image->tag_count > OL_ARCHIVE_NAMES_MAX)
			abort();
		for (size_t k = 0; k < image->layer_count; k++)
			if (strlen(image->layers[k]) > OL_PATH_MAX)
				abort();
		for (size_t k = 0; k < image->tag_count; k++)
			if (strlen(image->tags[k]) > OL_PATH_MAX)
				abort();
	}
}

static void check_names(ol_view bytes)
{
	ol_auto(ol_docker_names_free) ol_docker_names *names = NULL;

	if (ol_docker_names_parse(bytes, &names, NULL) < 0)
		return;
	for (size_t i = 0; i < names->count; i++)
		if (strlen(names->names[i].top) != 64 || !strchr(names->names[i].reference, ':'))
			abort();
}

static void check_v1(ol_view bytes)
{
	const ol_digest diff_id = ol_digest_of(OL_SHA256, "", 0);
	ol_auto_str ol_str text = OL_STR(OL_CONFIG_BYTES_MAX);
	ol_docker_v1 v1 = { 0 };

	if (ol_docker_v1_parse(bytes, &v1, NULL) < 0)
		return;
	if (strlen(v1.parent) != 0 && strlen(v1.parent) != 64)
		abort();
	if (ol_docker_v1_config(&v1, &diff_id, 1, &text, NULL) == OL_OK && text.size == 0)
		abort();
	ol_docker_v1_done(&v1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ol_view bytes = ol_view_from(data, size);

	check_images(bytes);
	check_names(bytes);
	check_v1(bytes);
	return 0;
}
