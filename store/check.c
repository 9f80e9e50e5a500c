/*
 * Check: is every byte what its row promises, and does every row have its bytes?
 *
 *	rows      check_rows.c    few and small: all of them, each time
 *	bytes     check_bytes.c   one thread a processor; what is found sound is remembered, so that
 *	                          a check that is interrupted goes on there
 *	orphans   check_rows.c
 *
 * What is found wrong is marked damaged, and the next pull or repair replaces it.
 */
#include "store/check_priv.h"

void ol_checker_found(ol_checker *checker, const ol_finding *finding)
{
	ol_finding told = *finding;

	if (!told.hint)
		told.hint = "run `orlop check --repair` to mend it";
	if (!told.path)
		told.path = "";
	checker->faults++;
	if (checker->options->found)
		checker->options->found(checker->options->ctx, &told);
}

int ol_check(ol_store *store, const ol_check_options *options, uint64_t *faults, ol_error *err)
{
	ol_checker checker = { .store = store, .options = options };
	int rc = ol_check_rows(&checker, err);

	if (rc == OL_OK)
		rc = ol_check_bytes(&checker, err);
	if (rc == OL_OK)
		rc = ol_check_orphans(&checker, err);
	if (rc < 0)
		return ol_wrap(err, rc, "check");
	*faults = checker.faults;
	return OL_OK;
}
