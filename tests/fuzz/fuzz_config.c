#include <stdlib.h>

#include "manifest/config.h"
#include "tests/fuzz/fuzz.h"

/* Reads to the end of a list, which ends. */
static void walk(const char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) == SIZE_MAX)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_auto(ol_config_free) ol_config *config = NULL;
	ol_digest chain;
	ol_error err;

	if (ol_config_parse(ol_view_from(data, size), &config, &err) < 0)
		return 0;
	walk(config->env);
	walk(config->entrypoint);
	walk(config->cmd);
	walk(config->volumes);
	walk(config->exposed_ports);
	for (size_t i = 0; i < config->label_count; i++)
		if (!config->labels[i].key || !config->labels[i].value)
			abort();
	for (size_t i = 0; i < config->history_count; i++)
		if (!config->history[i].created_by || !config->history[i].comment)
			abort();
	chain = ol_chain_id(config->diff_ids, config->diff_id_count);
	if (ol_digest_is_set(&chain) != (config->diff_id_count > 0))
		abort();
	return 0;
}
