#include <stdlib.h>

#include "fetch/docker_config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_docker_config config = { 0 };
	ol_credentials credentials = { 0 };
	const char *suffix;
	char *server = NULL;
	bool found;

	if (ol_docker_config_parse(ol_view_from(data, size), &config, NULL) < 0)
		return 0;
	(void)ol_docker_config_find(&config, "reg.example", "team/app", &credentials, &found, NULL);
	ol_credentials_done(&credentials);
	for (unsigned i = 0; ol_docker_config_helper(&config, "docker.io", i, &suffix, &server);
		i++)
		free(server);
	/* What was set is found again, and gone once it is removed. */
	ol_docker_config_set(&config, "reg.example", "u", "p");
	if (ol_docker_config_find(&config, "reg.example", "", &credentials, &found, NULL) < 0 ||
		!found)
		abort();
	ol_credentials_done(&credentials);
	if (!ol_docker_config_remove(&config, "reg.example") ||
		ol_docker_config_remove(&config, "reg.example"))
		abort();
	ol_docker_config_done(&config);
	return 0;
}
