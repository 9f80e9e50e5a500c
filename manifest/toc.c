#include "manifest/toc_priv.h"

bool ol_toc_type_of(ol_view word, ol_tar_type *out)
{
	static const struct {
		const char *word;
		ol_tar_type type;
	} types[] = {
		{ "dir", OL_TAR_DIR },
		{ "reg", OL_TAR_FILE },
		{ "symlink", OL_TAR_SYMLINK },
		{ "hardlink", OL_TAR_HARDLINK },
		{ "char", OL_TAR_CHAR },
		{ "block", OL_TAR_BLOCK },
		{ "fifo", OL_TAR_FIFO },
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (ol_view_is(word, types[i].word)) {
			*out = types[i].type;
			return true;
		}
	return false;
}
