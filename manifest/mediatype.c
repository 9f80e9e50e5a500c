#include "manifest/mediatype.h"

#include <string.h>

#define LONGEST 128

/* What is one type, and no more. */
static const struct {
	const char *type;
	ol_media media;
} whole[] = {
	{ OL_MEDIA_OCI_INDEX, { .kind = OL_MEDIA_INDEX } },
	{ OL_MEDIA_OCI_MANIFEST, { .kind = OL_MEDIA_MANIFEST } },
	{ OL_MEDIA_OCI_CONFIG, { .kind = OL_MEDIA_CONFIG } },
	{ OL_MEDIA_OCI_EMPTY, { .kind = OL_MEDIA_EMPTY } },
	{ OL_MEDIA_DOCKER_LIST, { .kind = OL_MEDIA_INDEX, .docker = true } },
	{ OL_MEDIA_DOCKER_MANIFEST, { .kind = OL_MEDIA_MANIFEST, .docker = true } },
	{ OL_MEDIA_DOCKER_CONFIG, { .kind = OL_MEDIA_CONFIG, .docker = true } },
	{ "application/vnd.docker.distribution.manifest.v1+json",
		{ .kind = OL_MEDIA_SCHEMA1, .docker = true } },
	{ "application/vnd.docker.distribution.manifest.v1+prettyjws",
		{ .kind = OL_MEDIA_SCHEMA1, .docker = true } },
};

/* What goes on with suffixes: a compression, then "+encrypted". */
static const struct {
	const char *type;
	ol_media media;
} layers[] = {
	{ OL_MEDIA_OCI_LAYER, { .kind = OL_MEDIA_LAYER, .compression = OL_COMPRESSION_NONE } },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar",
		{ .kind = OL_MEDIA_LAYER,
			.compression = OL_COMPRESSION_NONE,
			.nondistributable = true } },
	{ "application/vnd.docker.image.rootfs.diff.tar",
		{ .kind = OL_MEDIA_LAYER, .docker = true } },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar",
		{ .kind = OL_MEDIA_LAYER, .docker = true, .nondistributable = true } },
};

static bool take(ol_view *v, const char *prefix)
{
	if (!ol_view_starts(*v, prefix))
		return false;
	v->data += strlen(prefix);
	v->size -= strlen(prefix);
	return true;
}

static ol_media suffixes(ol_media media, ol_view rest)
{
	static const ol_media unknown = { 0 };

	if (take(&rest, media.docker ? ".gzip" : "+gzip"))
		media.compression = OL_COMPRESSION_GZIP;
	else if (take(&rest, media.docker ? ".zstd" : "+zstd"))
		media.compression = OL_COMPRESSION_ZSTD;
	media.encrypted = take(&rest, "+encrypted");
	return rest.size == 0 ? media : unknown;
}

/* RFC 2045: types are the same in any case. Without parameters and the blanks before them; "" if it
 * is too long for any type known here. */
static ol_view plain(ol_view type, char *lower)
{
	const char *end = type.size ? memchr(type.data, ';', type.size) : NULL;
	size_t size = end ? (size_t)(end - type.data) : type.size;

	while (size && (type.data[size - 1] == ' ' || type.data[size - 1] == '\t'))
		size--;
	if (size > LONGEST)
		size = 0;
	for (size_t i = 0; i < size; i++) {
		lower[i] = type.data[i];
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = "abcdefghijklmnopqrstuvwxyz"[lower[i] - 'A'];
	}
	return ol_view_from(lower, size);
}

ol_media ol_media_of(ol_view type)
{
	char lower[LONGEST];
	ol_view v = plain(type, lower);
	ol_media unknown = { 0 };

	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
		if (ol_view_is(v, whole[i].type))
			return whole[i].media;
	for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
		if (take(&v, layers[i].type))
			return suffixes(layers[i].media, v);
	return unknown;
}

bool ol_media_same(ol_view a, ol_view b)
{
	char lower_a[LONGEST], lower_b[LONGEST];
	ol_view plain_a = plain(a, lower_a), plain_b = plain(b, lower_b);

	return plain_a.size && plain_a.size == plain_b.size &&
	       memcmp(lower_a, lower_b, plain_a.size) == 0;
}

const char *ol_media_accept_manifests(void)
{
	/* Schema 1 is not asked for; a registry that has nothing else then says so, or sends it,
	 * and it is refused. */
	return OL_MEDIA_OCI_INDEX ", " OL_MEDIA_OCI_MANIFEST ", " OL_MEDIA_DOCKER_LIST
				  ", " OL_MEDIA_DOCKER_MANIFEST ", */*";
}

const char *ol_media_oci_layer(ol_compression compression)
{
	static const char *const types[] = {
		[OL_COMPRESSION_UNKNOWN] = OL_MEDIA_OCI_LAYER,
		[OL_COMPRESSION_NONE] = OL_MEDIA_OCI_LAYER,
		[OL_COMPRESSION_GZIP] = OL_MEDIA_OCI_LAYER "+gzip",
		[OL_COMPRESSION_ZSTD] = OL_MEDIA_OCI_LAYER "+zstd",
	};

	return types[compression];
}
