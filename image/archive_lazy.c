/*
 * libarchive's functions, forwarded to the library once it is loaded, as fetch/curl_lazy.c does
 * with libcurl: only load and import read archives, and it brings a dozen libraries along.
 */
#include <archive.h>
#include <archive_entry.h>
#include <pthread.h>

#include "base/library.h"
#include "image/archive_lazy_priv.h"

#define FUNCTIONS(X)                                                                               \
	X(archive_read_free)                                                                       \
	X(archive_read_new)                                                                        \
	X(archive_read_support_filter_gzip)                                                        \
	X(archive_read_support_filter_zstd)                                                        \
	X(archive_read_support_filter_xz)                                                          \
	X(archive_read_support_filter_bzip2)                                                       \
	X(archive_read_support_format_raw)                                                         \
	X(archive_read_support_format_tar)                                                         \
	X(archive_read_set_format_option)                                                          \
	X(archive_read_open)                                                                       \
	X(archive_read_next_header)                                                                \
	X(archive_read_data)                                                                       \
	X(archive_filter_bytes)                                                                    \
	X(archive_error_string)                                                                    \
	X(archive_entry_hardlink)                                                                  \
	X(archive_entry_symlink)                                                                   \
	X(archive_entry_pathname)                                                                  \
	X(archive_entry_filetype)                                                                  \
	X(archive_entry_size)

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

	(void)ol_library_load("libarchive.so.13", "libarchive13", symbols,
		sizeof symbols / sizeof symbols[0], &load_error);
}

int ol_archive_need(ol_error *err)
{
	(void)pthread_once(&load_once, load);
	if (real.archive_read_new)
		return OL_OK;
	if (err)
		*err = load_error;
	return load_error.code;
}

int archive_read_free(struct archive *handle)
{
	return handle ? real.archive_read_free(handle) : ARCHIVE_OK;
}

struct archive *archive_read_new(void)
{
	return real.archive_read_new();
}

int archive_read_support_filter_gzip(struct archive *handle)
{
	return real.archive_read_support_filter_gzip(handle);
}

int archive_read_support_filter_zstd(struct archive *handle)
{
	return real.archive_read_support_filter_zstd(handle);
}

int archive_read_support_filter_xz(struct archive *handle)
{
	return real.archive_read_support_filter_xz(handle);
}

int archive_read_support_filter_bzip2(struct archive *handle)
{
	return real.archive_read_support_filter_bzip2(handle);
}

int archive_read_support_format_raw(struct archive *handle)
{
	return real.archive_read_support_format_raw(handle);
}

int archive_read_support_format_tar(struct archive *handle)
{
	return real.archive_read_support_format_tar(handle);
}

int archive_read_set_format_option(struct archive *_a, const char *m, const char *o, const char *v)
{
	return real.archive_read_set_format_option(_a, m, o, v);
}

int archive_read_open(struct archive *handle, void *_client_data, archive_open_callback *opened,
	archive_read_callback *give, archive_close_callback *closed)
{
	return real.archive_read_open(handle, _client_data, opened, give, closed);
}

int archive_read_next_header(struct archive *handle, struct archive_entry **entry)
{
	return real.archive_read_next_header(handle, entry);
}

la_ssize_t archive_read_data(struct archive *handle, void *data, size_t size)
{
	return real.archive_read_data(handle, data, size);
}

la_int64_t archive_filter_bytes(struct archive *handle, int filter)
{
	return real.archive_filter_bytes(handle, filter);
}

const char *archive_error_string(struct archive *handle)
{
	return real.archive_error_string(handle);
}

const char *archive_entry_hardlink(struct archive_entry *entry)
{
	return real.archive_entry_hardlink(entry);
}

const char *archive_entry_symlink(struct archive_entry *entry)
{
	return real.archive_entry_symlink(entry);
}

const char *archive_entry_pathname(struct archive_entry *entry)
{
	return real.archive_entry_pathname(entry);
}

mode_t archive_entry_filetype(struct archive_entry *entry)
{
	return real.archive_entry_filetype(entry);
}

la_int64_t archive_entry_size(struct archive_entry *entry)
{
	return real.archive_entry_size(entry);
}
