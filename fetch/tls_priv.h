#pragma once

/*
 * TLS material for one host: --cert-dir, else /etc/docker/certs.d/<host:port>, else
 * /etc/containers/certs.d/<host:port> (and their homes' counterparts for a user). *.crt are CAs
 * that are trusted besides the system's, *.cert with *.key of the same name is the client's own
 * pair: docker's "Verify repository client with certificates".
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
} ol_tls;

/* host: as in references, "reg.example:5000". cert_dir: --cert-dir or NULL. A certificate without
 * its key, or a file that cannot be read, is an error: going on without it would only fail later
 * and worse. */
int ol_tls_load(
	const char *host, const char *cert_dir, bool skip_verify, ol_tls *out, ol_error *err);
void ol_tls_done(ol_tls *tls);
