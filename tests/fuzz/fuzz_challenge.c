#include "fetch/challenge.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ol_challenge list[OL_CHALLENGES_MAX];
	size_t count = 0;

	(void)ol_challenges_parse(ol_view_from(data, size), list, &count, NULL);
	ol_challenges_done(list, count);
	return 0;
}
