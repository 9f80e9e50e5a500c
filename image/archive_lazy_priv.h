#pragma once

#include "base/error.h"

/* libarchive is loaded at its first use: archive_lazy.c has its functions by their own names, and
 * they may be called once this has answered OL_OK. OL_EUNSUPPORTED: it is not there. */
int ol_archive_need(ol_error *err);
