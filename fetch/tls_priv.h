#pragma once

/*
 * TLS material for one host: what its configuration names, else --cert-dir, else the user's
 * docker/certs.d/<host:port>, else his containers/certs.d, else those of /etc. *.crt are CAs that
 * are trusted besides the system's, *.cert with *.key of the same name is the client's own pair:
 * docker's "Verify repository client with certificates".
 */
#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"

typedef struct ol_tls {
	bool skip_verify;
	ol_buf authorities; /* owned: PEM, all *.crt; empty: the system's alone */
	char *ca_file;      /* owned; SSL_CERT_FILE or the system's bundle; NULL: none */
	char *ca_path;      /* owned; SSL_CERT_DIR or the system's directory; NULL: none */
	char *cert, *key;   /* owned; paths of the client's pair, or NULL */
	char *source;       /* owned; where authorities and pair come from, or NULL */
} ol_tls;

typedef struct ol_tls_ask {
	const char *host;     /* as in references, "reg.example:5000" */
	const char *cert_dir; /* --cert-dir, or a folder like it; or NULL */
	bool skip_verify;
	/* What a configuration names; NULL where it names none. */
	const char *const *authorities; /* paths, ended by NULL */
	const char *cert, *key;         /* paths */
	bool alone;         /* without cert_dir those are all: no certs.d is looked for */
	const char *source; /* the configuration; or NULL */
} ol_tls_ask;

/* A certificate without its key, or a file that cannot be read, is an error: going on without it
 * would only fail later and worse. */
int ol_tls_load(const ol_tls_ask *ask, ol_tls *out, ol_error *err);
/* The same CAs and distrust for another host, but not the client's pair. */
void ol_tls_share(const ol_tls *tls, ol_tls *out);
void ol_tls_done(ol_tls *tls);
