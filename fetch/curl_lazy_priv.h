#pragma once

#include "base/error.h"

/* libcurl is loaded at its first use: curl_lazy.c has its functions by their own names, and they
 * may be called once this has answered OL_OK (curl_url and what takes NULL also before).
 * OL_EUNSUPPORTED: it is not there. */
int ol_curl_need(ol_error *err);
