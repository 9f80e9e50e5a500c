#pragma once

/*
 * Where an image can be had: the endpoints for one reference, in the order they are asked. For one
 * host the first of these that matches decides alone:
 *
 *	hosts.toml          of that host, or of _default (a folder with certificates and no
 *	                    hosts.toml is Docker's kind of certs.d)
 *	registries.conf     the longest prefix of the reference
 *	the plain host      with Docker's, then containers' certs.d
 */
#include "base/alloc.h"
#include "fetch/registries_conf.h"
#include "manifest/ref.h"

typedef enum ol_capability {
	OL_CAN_PULL = 1,
	OL_CAN_RESOLVE = 2, /* may say what a tag means */
	OL_CAN_PUSH = 4,
	OL_CAN_REFER = 8,
	OL_CAN_ALL = 15,
} ol_capability;

typedef enum ol_transport {
	OL_TRANSPORT_TRY, /* https, and http where that may be */
	OL_TRANSPORT_HTTPS,
	OL_TRANSPORT_HTTP,
} ol_transport;

/* One way to an image. All strings belong to the arena it was made in. */
typedef struct ol_endpoint {
	const char *host;       /* "mirror.example:5000", in lower case, without a default port */
	const char *root;       /* where its API begins: "/v2", "" */
	const char *repository; /* what the image's repository is called there */
	const char *ns;         /* the host it stands for, where it wants to be told; or NULL */
	const char *proxy;      /* instead of the environment's; or NULL */
	ol_transport transport;
	bool skip_verify;  /* its certificate is not looked at */
	bool may_be_plain; /* http where TLS is not spoken */
	bool is_primary;   /* the registry itself, or what stands in its place; no mirror */
	unsigned capabilities;
	unsigned connect_ms; /* 0: as all others */
	/* Certificates that its configuration names; NULL where it names none. */
	const char *const *authorities; /* paths of PEM files, ended by NULL */
	const char *cert, *key;         /* paths; key may be cert's file */
	const char *cert_dir;           /* certs.d's kind of folder */
	bool own_certificates;          /* those above are all there are */
	const char *const *headers;     /* "Name: value", ended by NULL */
} ol_endpoint;

typedef struct ol_endpoint_options {
	/* --hosts-dir; NULL: ORLOP_HOSTS_DIR, else containerd's places */
	const char *hosts_dir;
	const ol_registries_conf *conf; /* lent */
	/* for pushing and logging in: no mirrors, and registries.conf moves nothing */
	bool itself;
} ol_endpoint_options;

typedef struct ol_endpoints {
	ol_arena *arena; /* owned */
	ol_endpoint *list;
	size_t count;       /* at least one */
	const char *source; /* the file that decides; NULL: nothing is configured */
	const char *rule;   /* which part of it, for people; NULL */
} ol_endpoints;

/* OL_EAUTH when ref is blocked, OL_EINVAL for a configuration that cannot be meant; both name the
 * file. */
int ol_endpoints_find(
	const ol_endpoint_options *options, const ol_ref *ref, ol_endpoints *out, ol_error *err);
void ol_endpoints_done(ol_endpoints *endpoints);

/* "host[:port]" of a configuration file into name (arena), in lower case and without the default
 * port of the transport. False if it is none. */
bool ol_endpoint_host(ol_view text, ol_transport transport, ol_arena *arena, const char **name);
