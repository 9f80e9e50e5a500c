#include "cmd/exit_status.h"

#include <stddef.h>

/* Docker's: one status for everything that failed, so that scripts written for it keep working;
 * run's own apart. */
static const struct {
	int code, status, of_run;
} table[] = {
	{ OL_OK, 0, 0 },
	{ OL_EINVAL, 1, 125 },
	{ OL_ENOTFOUND, 1, 125 },
	{ OL_EEXISTS, 1, 125 },
	{ OL_EBUSY, 1, 125 },
	{ OL_EAUTH, 1, 125 },
	{ OL_EUNAVAILABLE, 1, 125 },
	{ OL_ECORRUPT, 1, 125 },
	{ OL_ELIMIT, 1, 125 },
	{ OL_EUNSUPPORTED, 1, 125 },
	{ OL_ECANCELED, 130, 130 },
	{ OL_ESYSTEM, 1, 125 },
};

_Static_assert(sizeof table / sizeof table[0] == 1 - OL_CODE_MIN, "a code has no exit status");

int ol_exit_status(int code, bool starts_program)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].code == code)
			return starts_program ? table[i].of_run : table[i].status;
	return starts_program ? 125 : 1;
}

const ol_status_row *ol_status_rows(void)
{
	static const ol_status_row rows[] = {
		{ "0", "It was done." },
		{ "1", "It failed, wholly or in part; or the command or its arguments are not "
		       "right; or `check` found something wrong." },
		{ "125", "An option is not right; or `run` itself failed, before the program "
			 "started." },
		{ "126", "`run`: the program is there but cannot be started." },
		{ "127", "`run`: the image has no such program." },
		{ "128+N", "`run`: signal N ended the program." },
		{ "130", "It was interrupted: Ctrl-C or SIGTERM." },
		{ "else", "`run`: the program's own exit status." },
		{ NULL, NULL },
	};

	return rows;
}
