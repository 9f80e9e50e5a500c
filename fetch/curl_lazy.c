/*
 * libcurl's functions, forwarded to the library once it is loaded: the program is not linked with
 * it (base/library.h says why), and the rest of fetch/ includes <curl/curl.h> and calls them as
 * ever. A function that is not here yet is a line in FUNCTIONS and its forwarding function below;
 * the linker says which.
 */
#include <pthread.h>
#include <stdarg.h>

#include "fetch/curl_lazy_priv.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/library.h"

/* The header makes macros of them that pass three arguments on. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define FUNCTIONS(X)                                                                               \
	X(curl_global_init)                                                                        \
	X(curl_free)                                                                               \
	X(curl_slist_append)                                                                       \
	X(curl_slist_free_all)                                                                     \
	X(curl_easy_init)                                                                          \
	X(curl_easy_reset)                                                                         \
	X(curl_easy_cleanup)                                                                       \
	X(curl_easy_setopt)                                                                        \
	X(curl_easy_getinfo)                                                                       \
	X(curl_easy_strerror)                                                                      \
	X(curl_easy_pause)                                                                         \
	X(curl_multi_init)                                                                         \
	X(curl_multi_cleanup)                                                                      \
	X(curl_multi_setopt)                                                                       \
	X(curl_multi_add_handle)                                                                   \
	X(curl_multi_remove_handle)                                                                \
	X(curl_multi_perform)                                                                      \
	X(curl_multi_poll)                                                                         \
	X(curl_multi_wakeup)                                                                       \
	X(curl_multi_info_read)                                                                    \
	X(curl_url)                                                                                \
	X(curl_url_cleanup)                                                                        \
	X(curl_url_get)                                                                            \
	X(curl_url_set)

/* The process's state, as a linked library's is: written once, under load_once. */
static struct {
#define X(function) __typeof__(&(function)) function;
	FUNCTIONS(X)
#undef X
} real;
static ol_error load_error;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
	const ol_library_symbol symbols[] = {
#define X(function) { #function, (void **)&real.function },
		FUNCTIONS(X)
#undef X
	};

	(void)ol_library_load("libcurl.so.4", "libcurl4", symbols,
		sizeof symbols / sizeof symbols[0], &load_error);
}

int ol_curl_need(ol_error *err)
{
	(void)pthread_once(&load_once, load);
	if (real.curl_free)
		return OL_OK;
	if (err)
		*err = load_error;
	return load_error.code;
}

CURLcode curl_global_init(long flags)
{
	return real.curl_global_init(flags);
}

void curl_free(void *p)
{
	if (p)
		real.curl_free(p);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *data)
{
	return real.curl_slist_append(list, data);
}

void curl_slist_free_all(struct curl_slist *list)
{
	if (list)
		real.curl_slist_free_all(list);
}

CURL *curl_easy_init(void)
{
	return real.curl_easy_init();
}

void curl_easy_reset(CURL *curl)
{
	real.curl_easy_reset(curl);
}

void curl_easy_cleanup(CURL *curl)
{
	if (curl)
		real.curl_easy_cleanup(curl);
}

const char *curl_easy_strerror(CURLcode code)
{
	return real.curl_easy_strerror(code);
}

CURLcode curl_easy_pause(CURL *handle, int bitmask)
{
	return real.curl_easy_pause(handle, bitmask);
}

/* Clang 14 loses sight of va_start; branches differ in what va_arg takes.
 * NOLINTBEGIN(clang-analyzer-valist.Uninitialized,bugprone-branch-clone) */

/* The one argument that follows is of the type that the option's number says (curl/curl.h,
 * "CURLOPTTYPE"). */
CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
	CURLcode code;
	va_list ap;

	va_start(ap, option);
	if ((int)option < CURLOPTTYPE_OBJECTPOINT)
		code = real.curl_easy_setopt(curl, option, va_arg(ap, long));
	else if ((int)option >= CURLOPTTYPE_OFF_T && (int)option < CURLOPTTYPE_BLOB)
		code = real.curl_easy_setopt(curl, option, va_arg(ap, curl_off_t));
	else /* objects, functions (POSIX: as large as a pointer to an object) and blobs */
		code = real.curl_easy_setopt(curl, option, va_arg(ap, void *));
	va_end(ap);
	return code;
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
	CURLcode code;
	va_list ap;

	va_start(ap, info);
	code = real.curl_easy_getinfo(curl, info, va_arg(ap, void *));
	va_end(ap);
	return code;
}

CURLM *curl_multi_init(void)
{
	return real.curl_multi_init();
}

CURLMcode curl_multi_cleanup(CURLM *multi_handle)
{
	return real.curl_multi_cleanup(multi_handle);
}

CURLMcode curl_multi_setopt(CURLM *multi_handle, CURLMoption option, ...)
{
	CURLMcode code;
	va_list ap;

	va_start(ap, option);
	if ((int)option < CURLOPTTYPE_OBJECTPOINT)
		code = real.curl_multi_setopt(multi_handle, option, va_arg(ap, long));
	else if ((int)option >= CURLOPTTYPE_OFF_T && (int)option < CURLOPTTYPE_BLOB)
		code = real.curl_multi_setopt(multi_handle, option, va_arg(ap, curl_off_t));
	else
		code = real.curl_multi_setopt(multi_handle, option, va_arg(ap, void *));
	va_end(ap);
	return code;
}

/* NOLINTEND(clang-analyzer-valist.Uninitialized,bugprone-branch-clone) */

CURLMcode curl_multi_add_handle(CURLM *multi_handle, CURL *curl_handle)
{
	return real.curl_multi_add_handle(multi_handle, curl_handle);
}

CURLMcode curl_multi_remove_handle(CURLM *multi_handle, CURL *curl_handle)
{
	return real.curl_multi_remove_handle(multi_handle, curl_handle);
}

CURLMcode curl_multi_perform(CURLM *multi_handle, int *running_handles)
{
	return real.curl_multi_perform(multi_handle, running_handles);
}

CURLMcode curl_multi_poll(CURLM *multi_handle, struct curl_waitfd extra_fds[], unsigned extra_nfds,
	int timeout_ms, int *ret)
{
	return real.curl_multi_poll(multi_handle, extra_fds, extra_nfds, timeout_ms, ret);
}

CURLMcode curl_multi_wakeup(CURLM *multi_handle)
{
	return real.curl_multi_wakeup(multi_handle);
}

CURLMsg *curl_multi_info_read(CURLM *multi_handle, int *msgs_in_queue)
{
	return real.curl_multi_info_read(multi_handle, msgs_in_queue);
}

CURLU *curl_url(void)
{
	return ol_curl_need(NULL) == OL_OK ? real.curl_url() : NULL;
}

void curl_url_cleanup(CURLU *handle)
{
	if (handle)
		real.curl_url_cleanup(handle);
}

CURLUcode curl_url_get(CURLU *handle, CURLUPart what, char **part, unsigned flags)
{
	return real.curl_url_get(handle, what, part, flags);
}

CURLUcode curl_url_set(CURLU *handle, CURLUPart what, const char *part, unsigned flags)
{
	return real.curl_url_set(handle, what, part, flags);
}
