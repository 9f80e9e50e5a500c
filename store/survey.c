#include "store/survey.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/measure.h"
#include "store/gc_priv.h"
#include "store/graph_priv.h"
#include "store/lazy.h"

/* What reaches a digest. */
enum {
	BUSY = 1, /* a container or mount needs it */
	SAFE = 2, /* prune leaves it, as gc does what is BUSY */
	LIVE = 4
}; /* gc leaves it */

static int load(ol_db *db, ol_graph **out, ol_error *err)
{
	static const struct {
		const char *sql;
		uint8_t bit;
	} seeds[] = {
		{ "SELECT root FROM containers UNION SELECT config FROM containers WHERE config IS "
		  "NOT NULL UNION SELECT root FROM mounts UNION SELECT config FROM mounts WHERE "
		  "config IS NOT NULL UNION SELECT key FROM uses",
			BUSY },
		{ "SELECT root FROM names WHERE pinned OR imported UNION SELECT digest FROM "
		  "lease_items",
			SAFE },
		{ "SELECT root FROM names UNION SELECT listed FROM names WHERE listed IS NOT NULL",
			LIVE },
	};
	ol_auto(ol_graph_free) ol_graph *graph = NULL;
	int rc = ol_graph_load(db, &graph, err);

	for (size_t i = 0; rc == OL_OK && i < sizeof seeds / sizeof seeds[0]; i++)
		rc = ol_graph_mark_rows(graph, db, seeds[i].sql, seeds[i].bit, err);
	if (rc == OL_OK)
		*out = ol_steal(&graph);
	return rc;
}

/* How many roots have each node: 2 for more than one. */
struct owners {
	uint8_t *count; /* owned */
};

static void count_owner(void *ctx, uint32_t node)
{
	uint8_t *count = &((struct owners *)ctx)->count[node];

	*count = (uint8_t)(*count + (*count < 2));
}

struct digests {
	ol_digest *list; /* owned */
	size_t count, cap;
};

static int list_roots(ol_db *db, struct digests *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt, "SELECT DISTINCT root FROM names", "");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		OL_GROW(out->list, out->count, out->cap);
		out->count +=
			ol_column_digest(stmt, 0, false, &out->list[out->count], NULL) == OL_OK;
	}
	return rc;
}

/* Roots without edges are nodes from here on as well. */
static void count_owners(ol_graph *graph, const struct digests *roots, struct owners *out)
{
	const uint32_t most = ol_graph_count(graph) + (uint32_t)roots->count;

	out->count = ol_alloc_array((size_t)most + 1, 1);
	for (size_t i = 0; i < roots->count; i++)
		ol_graph_walk(graph, &roots->list[i], count_owner, out);
}

static uint64_t blob_disk(const ol_store *store, const ol_digest *digest)
{
	struct stat st;

	return fstatat(store->blobs_fd[digest->algorithm], ol_digest_hex(digest).text, &st,
		       AT_SYMLINK_NOFOLLOW) == 0
		       ? (uint64_t)st.st_blocks * 512
		       : 0;
}

/* Counts disk bytes by what protects them. */
static void sort_out(ol_survey *out, const ol_graph *graph, const ol_digest *digest, uint64_t disk)
{
	if (ol_graph_has(graph, digest, BUSY | SAFE))
		return;
	if (ol_graph_has(graph, digest, LIVE))
		out->unprotected += disk;
	else
		out->garbage += disk;
}

static int survey_blobs(
	ol_store *store, ol_db *db, const ol_graph *graph, ol_survey *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT digest, size, digest IN (SELECT key FROM layers), digest IN (SELECT blob "
		"FROM layers WHERE blob IS NOT NULL) FROM blobs",
		"");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		const bool tar = sqlite3_column_int(stmt, 2) != 0,
			   kept = sqlite3_column_int(stmt, 3) != 0;
		ol_survey_part *part = tar ? &out->layers : kept ? &out->kept : &out->documents;
		ol_digest digest;
		uint64_t size = 0, disk;

		if (ol_column_digest(stmt, 0, false, &digest, NULL) < 0 ||
			ol_column_u64(stmt, 1, &size, NULL) < 0)
			continue; /* check tells of it */
		disk = blob_disk(store, &digest);
		part->count += !tar; /* layers are counted by their own rows */
		part->bytes += tar ? 0 : size;
		part->disk += disk;
		sort_out(out, graph, &digest, disk);
	}
	return rc;
}

static int survey_layers(ol_store *store, ol_db *db, const ol_graph *graph,
	const struct owners *owners, ol_survey *out, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(db, err, &stmt,
		"SELECT key, is_chain, tar_bytes, disk_bytes, driver = '" OL_LAZY_DRIVER
		"' FROM layers",
		"");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		const bool chain = sqlite3_column_int(stmt, 1) != 0;
		uint64_t bytes = 0, disk = 0;
		ol_digest key;
		uint32_t node;

		if (ol_column_digest(stmt, 0, false, &key, NULL) < 0 ||
			ol_column_u64(stmt, 2, &bytes, NULL) < 0 ||
			ol_column_u64(stmt, 3, &disk, NULL) < 0)
			continue;
		if (!chain && sqlite3_column_int(stmt, 4))
			disk += ol_lazy_disk_bytes(store, &key);
		node = ol_graph_find(graph, &key);
		out->layers.count += !chain;
		out->layers.bytes += chain ? 0 : bytes;
		out->layers.disk += disk;
		out->layers_active += !chain && ol_graph_has(graph, &key, BUSY);
		if (!chain && node != OL_NODE_NONE && owners->count[node] > 1)
			out->layers_shared += bytes + disk;
		sort_out(out, graph, &key, disk);
	}
	return rc;
}

static int survey_rows(ol_store *store, ol_survey *out, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_auto(ol_graph_free) ol_graph *graph = NULL;
	struct digests roots = { 0 };
	struct owners owners = { 0 };
	int rc = ol_db_run(db, err, NULL, "BEGIN", ""); /* all in one state of the rows */

	if (rc < 0)
		return rc;
	rc = load(db, &graph, err);
	if (rc == OL_OK)
		rc = list_roots(db, &roots, err);
	if (rc == OL_OK) {
		count_owners(graph, &roots, &owners);
		rc = survey_blobs(store, db, graph, out, err);
	}
	if (rc == OL_OK)
		rc = survey_layers(store, db, graph, &owners, out, err);
	(void)ol_db_run(db, NULL, NULL, "COMMIT", "");
	free(roots.list);
	free(owners.count);
	return rc;
}

struct ingests {
	ol_store *store; /* lent */
	ol_survey_part *part;
};

static int see_ingest(void *ctx, const char *name, ol_error *err)
{
	struct ingests *ingests = ctx;
	ol_measure sum = { 0 };

	(void)err;
	if (ol_measure_tree(ingests->store->ingest_fd, name, &sum, NULL) < 0)
		return OL_OK; /* it has just ended */
	ingests->part->count++;
	ingests->part->bytes += sum.bytes;
	ingests->part->disk += sum.disk;
	return OL_OK;
}

int ol_survey_take(ol_store *store, ol_survey *out, ol_error *err)
{
	ol_survey survey = { 0 };
	struct ingests ingests = { store, &survey.ingests };
	int rc = survey_rows(store, &survey, err);

	if (rc == OL_OK)
		rc = ol_each_name(store->ingest_fd, see_ingest, &ingests, err);
	if (rc == OL_OK)
		*out = survey;
	return rc;
}

/* Adds up what one root has. */
struct sums {
	const uint64_t *bytes; /* lent: of the layer that a node is; 0 */
	const struct owners *owners;
	ol_survey_image *image;
};

static void add_node(void *ctx, uint32_t node)
{
	struct sums *sums = ctx;

	*(sums->owners->count[node] > 1 ? &sums->image->shared : &sums->image->unique) +=
		sums->bytes[node];
}

static int list_bytes(ol_db *db, const ol_graph *graph, uint64_t *bytes, ol_error *err)
{
	ol_auto_stmt sqlite3_stmt *stmt = NULL;
	int rc = ol_db_query(
		db, err, &stmt, "SELECT key, tar_bytes FROM layers WHERE is_chain = 0", "");

	while (rc >= 0 && (rc = ol_db_step(db, stmt, err)) == 1) {
		ol_digest key;
		uint32_t node = ol_column_digest(stmt, 0, false, &key, NULL) < 0
					? OL_NODE_NONE
					: ol_graph_find(graph, &key);

		if (node != OL_NODE_NONE)
			(void)ol_column_u64(stmt, 1, &bytes[node], NULL);
	}
	return rc;
}

static int survey_images(ol_db *db, struct digests *roots, ol_survey_image *images, ol_error *err)
{
	ol_auto(ol_graph_free) ol_graph *graph = NULL;
	ol_autofree uint64_t *bytes = NULL;
	struct owners owners = { 0 };
	int rc = ol_graph_load(db, &graph, err);

	if (rc < 0)
		return rc;
	count_owners(graph, roots, &owners);
	bytes = ol_alloc_array((size_t)ol_graph_count(graph) + 1, sizeof *bytes);
	rc = list_bytes(db, graph, bytes, err);
	for (size_t i = 0; rc == OL_OK && i < roots->count; i++) {
		struct sums sums = { bytes, &owners, &images[i] };

		images[i] = (ol_survey_image){ .root = roots->list[i] };
		ol_graph_walk(graph, &roots->list[i], add_node, &sums);
	}
	free(owners.count);
	return rc;
}

int ol_survey_images(ol_store *store, ol_survey_image **out, size_t *count, ol_error *err)
{
	ol_auto_db ol_db *db = ol_db_reader(store);
	ol_autofree ol_survey_image *images = NULL;
	struct digests roots = { 0 };
	int rc = ol_db_run(db, err, NULL, "BEGIN", "");

	if (rc < 0)
		return rc;
	rc = list_roots(db, &roots, err);
	images = ol_alloc_array(roots.count + 1, sizeof *images);
	if (rc == OL_OK)
		rc = survey_images(db, &roots, images, err);
	(void)ol_db_run(db, NULL, NULL, "COMMIT", "");
	free(roots.list);
	if (rc < 0)
		return rc;
	*out = ol_steal(&images);
	*count = roots.count;
	return OL_OK;
}
