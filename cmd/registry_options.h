#pragma once

/* Options of every command that talks to a registry. */
#include "cmd/option.h"

#define OL_TRANSPORT_OPTIONS                                                                       \
	{ .name = "plain-http",                                                                    \
		.kind = OL_OPTION_FLAG,                                                            \
		.help = "Talk HTTP without TLS to the registry" },                                 \
		{ .name = "tls-verify",                                                            \
			.kind = OL_OPTION_FLAG,                                                    \
			.help = "Refuse certificates that cannot be verified; =false takes any",   \
			.otherwise = "true" },                                                     \
		{ .name = "hosts-dir",                                                             \
			.kind = OL_OPTION_TEXT,                                                    \
			.value = "DIR",                                                            \
			.completes = "dir",                                                        \
			.help = "Folders of hosts.toml, one a registry (ORLOP_HOSTS_DIR)",         \
			.otherwise = "/etc/containerd/certs.d" },                                  \
		{ .name = "registries-conf",                                                       \
			.kind = OL_OPTION_TEXT,                                                    \
			.value = "FILE",                                                           \
			.completes = "file",                                                       \
			.help = "registries.conf, and no other (CONTAINERS_REGISTRIES_CONF)",      \
			.otherwise = "the user's, then /etc/containers/registries.conf" },         \
		{ .name = "cert-dir",                                                              \
			.kind = OL_OPTION_TEXT,                                                    \
			.value = "DIR",                                                            \
			.completes = "dir",                                                        \
			.help = "Folder with *.crt (CAs), *.cert and *.key (client pairs)" },      \
	{                                                                                          \
		.name = "authfile", .kind = OL_OPTION_TEXT, .value = "FILE", .completes = "file",  \
		.help = "File with credentials (REGISTRY_AUTH_FILE)",                              \
		.otherwise = "docker's, then containers'"                                          \
	}

extern const ol_option ol_registry_options[]; /* the above, --creds and --retry */
