#pragma once

/*
 * Every bound on what comes from outside, with its reason. A number here is a promise: a parser
 * refuses what lies past it with OL_ELIMIT, before it costs memory or time.
 */
#include <stddef.h>
#include <stdint.h>

/* Documents. distribution-spec: a 4 MiB manifest must be expected to work. */
#define OL_MANIFEST_BYTES_MAX ((size_t)4 << 20)
/* Configs carry history and labels; the largest seen in the wild are under 1 MiB. */
#define OL_CONFIG_BYTES_MAX ((size_t)8 << 20)
#define OL_JSON_DEPTH_MAX   64 /* jansson recurses: keep its stack small */
/* A value costs up to 300 bytes once parsed, however short ("[]," is three): 38 MiB at most. */
#define OL_JSON_VALUES_MAX ((size_t)1 << 17)
/* Indexes in indexes: the image-spec sets no bound, four levels are more than anybody builds. */
#define OL_INDEX_DEPTH_MAX   4
#define OL_INDEX_ENTRIES_MAX 4096
#define OL_COPY_DOCUMENTS_BYTES_MAX                                                                \
	((size_t)64 << 20) /* of one image that is copied, all in memory: thousands of platforms   \
			    */
#define OL_LAYERS_MAX           500                 /* overlayfs stacks at most 500 lower layers */
#define OL_DESCRIPTOR_BYTES_MAX ((uint64_t)1 << 44) /* 16 TiB: sums stay far from 2^63 */
#define OL_REFERENCE_NAME_MAX   255 /* reference grammar: domain and path together */
#define OL_TAG_MAX              128

/* Registry replies. */
#define OL_HEADER_BYTES_MAX     ((size_t)64 << 10) /* one reply's headers, all together */
#define OL_TOKEN_BYTES_MAX      ((size_t)1 << 20)  /* token server replies: JWTs with many scopes */
#define OL_ERROR_BODY_BYTES_MAX ((size_t)64 << 10) /* what is read of an error reply */
#define OL_REDIRECTS_MAX        10
#define OL_TAGS_MAX             1000000 /* of one repository: all is listed, nothing kept */
#define OL_TAG_PAGES_MAX        100000
/* Of one image: signatures of every build and scan of it, at some 400 bytes each. */
#define OL_REFERRERS_BYTES_MAX ((size_t)16 << 20)
#define OL_REFERRER_PAGES_MAX  200
#define OL_RETRY_AFTER_MAX_MS  ((uint64_t)300 * 1000) /* longer waits are the user's decision */

/* Configuration files of other tools. */
#define OL_CONFIG_FILE_BYTES_MAX ((size_t)4 << 20)
/* A credential helper that waits for a keyring nobody unlocks. */
#define OL_HELPER_TIMEOUT_MS  30000
#define OL_ENV_FILE_BYTES_MAX ((size_t)1 << 20)
#define OL_TOML_DEPTH_MAX     32 /* the reader recurses; hosts.toml and registries.conf need 4 */
/* Distributions ship some hundred short names. A key is looked for among its table's one by one. */
#define OL_TOML_VALUES_MAX (1 << 14)
/* Of one reference, its registry with all mirrors: fetch/route.c keeps a bit of a number for each.
 */
#define OL_ENDPOINTS_MAX 64
/* What nobody writes by hand: registries in all files, headers sent to one host, and entries of one
 * list (CAs, registries to search, credential helpers). */
#define OL_REGISTRY_RULES_MAX 4096
#define OL_HEADERS_MAX        64
#define OL_CONFIG_LIST_MAX    64

/* Layers. */
#define OL_LAYER_TAR_BYTES_MAX                                                                     \
	((uint64_t)1 << 40) /* 1 TiB: a chunk index addresses 2^48 blocks of 512 */
#define OL_LAYER_RATIO_MAX                                                                         \
	4096 /* inflated : compressed, past the first 64 MiB; gzip tops out near 1032 */
#define OL_LAYER_ENTRIES_MAX ((uint64_t)16 << 20)
#define OL_PATH_MAX          4096 /* PATH_MAX: a longer path cannot be opened anyway */
#define OL_NAME_MAX          255  /* NAME_MAX of every Linux file system */
#define OL_PATH_DEPTH_MAX    1024
#define OL_PAX_BYTES_MAX     ((size_t)1 << 20) /* one pax block; Go's reader has the same bound */
#define OL_PAX_RECORDS_MAX   4096
#define OL_PAX_GLOBAL_BYTES_MAX                                                                    \
	((size_t)64 << 10) /* all global pax headers of a layer: git's has 52 bytes */
#define OL_FILE_BYTES_MAX ((uint64_t)1 << 44)   /* a file with its holes: 16 TiB, where ext4 ends */
#define OL_TIME_MAX       INT64_C(253402300799) /* the end of the year 9999, as of RFC 3339 */
#define OL_XATTRS_BYTES_MAX                                                                        \
	((size_t)60 << 10) /* of one inode: EROFS keeps a 16-bit count of 4-byte units */
#define OL_SPARSE_PIECES_MAX    ((size_t)1 << 16)
#define OL_CHUNKS_MAX           ((uint64_t)1 << 20) /* of one file in an index: 8 MiB of chunk table */
#define OL_ZSTD_WINDOW_LOG_EASY 23                  /* 8 MiB: decoded beside other layers */
#define OL_ZSTD_WINDOW_LOG_MAX  27                  /* 128 MiB: decoded alone; larger is refused */

/* Archives: what `load` reads besides layers. */
/* One document of an archive: configs are the largest. */
#define OL_ARCHIVE_DOCUMENT_BYTES_MAX OL_CONFIG_BYTES_MAX
/* All documents that are kept in memory until it is known what they are; what comes after goes to
 * the store meanwhile. */
#define OL_ARCHIVE_DOCUMENTS_BYTES_MAX ((size_t)8 << 20)
/* Files of one archive, remembered at some 250 bytes each: 4,000 images of ten layers in docker's
 * oldest layout, which has three files for a layer. */
#define OL_ARCHIVE_FILES_MAX ((size_t)1 << 17)
/* Links from one file of an archive to another: docker and podman write one. */
#define OL_ARCHIVE_LINKS_MAX 8
/* Images of one manifest.json, and names of one image in it. */
#define OL_ARCHIVE_IMAGES_MAX 4096
#define OL_ARCHIVE_NAMES_MAX  1024
/* Lazy layers. A table of contents has some 400 bytes an entry and chunk; containers' tools take
 * as much. */
#define OL_TOC_BYTES_MAX  ((size_t)150 << 20)
#define OL_TOC_CHUNKS_MAX ((uint64_t)32 << 20) /* of a layer: 64 KiB each at the layer's bound */
#define OL_ZTOC_SPANS_MAX (OL_TOC_BYTES_MAX / 32785) /* as many checkpoints as fit */
/* What we wrote ourselves of where a lazy layer comes from: a reference, some paths. */
#define OL_LAZY_SOURCE_BYTES_MAX ((size_t)64 << 10)
#define OL_TOC_STRING_MAX                                                                          \
	((size_t)128 << 10) /* one string: an xattr of 60 KiB in base64, a path escaped */
/* One segment of a tar-split: the headers of a member, whose pax records have a bound of their own,
 * or a piece of what is behind the end; its tools write at most 1 MiB of that at once. */
#define OL_TAR_SPLIT_SEGMENT_MAX ((size_t)4 << 20)
/* A seek table. A table of contents of its largest size has room for 1.5 million chunks, each with
 * a digest in hex and a name. */
#define OL_LAZY_PIECES_MAX  ((size_t)2 << 20)
#define OL_LAZY_EXTENTS_MAX ((size_t)2 << 20)
/* A piece, inflated or not, is held in memory: tools make them of 4 MiB at most unless told. */
#define OL_LAZY_PIECE_BYTES_MAX ((uint64_t)64 << 20)
/* The file: its head, as many pieces and extents with digests of 64 bytes, its own digest. */
#define OL_LAZY_TABLE_BYTES_MAX                                                                    \
	(OL_LAZY_PIECES_MAX * 104 + OL_LAZY_EXTENTS_MAX * 96 + ((size_t)4 << 10))
/* How long a reader waits for a registry before it gets EIO, where nobody said: programs that would
 * rather fail than wait have shorter times of their own. */
#define OL_LAZY_TIMEOUT_MS ((uint64_t)60000)
/* A start reads some hundred ranges; one takes 100 bytes of JSON. */
#define OL_PROFILE_RANGES_MAX ((size_t)1 << 14)
#define OL_PROFILE_BYTES_MAX  ((size_t)4 << 20)

/* Memory. The target for a pull is 64 MiB resident, whatever the image. */
#define OL_UNPACK_BUDGET_BYTES                                                                     \
	((size_t)8 << 20) /* entries of one layer kept in memory before they are sorted on disk */

/* The passwd and group files of an image, read when it is run. */
#define OL_PASSWD_BYTES_MAX ((size_t)1 << 20)

/* The map of an ingest, read back after a crash: 43,000 ranges; the writer merges long before. */
#define OL_RANGE_MAP_BYTES_MAX ((size_t)1 << 20)

/* Ranges of an id map: a few in practice; the kernel takes 340. */
#define OL_IDMAP_RANGES_MAX 64
/* What a row of names says of its image in short, so that a list need not open any document. */
#define OL_SUMMARY_BYTES_MAX ((size_t)4 << 10)

/* index.json of the store: an image takes under 1 KiB, so this is more than 60,000 of them. */
#define OL_LISTING_BYTES_MAX ((size_t)64 << 20)
