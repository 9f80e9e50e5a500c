#pragma once

/*
 * Commands: rows of one table (cmd/commands.c) from which the parser, help, man pages and shell
 * completion are made. Each command stands in its own file, cmd_<name>.c, with its options, its
 * words and what it does.
 */
#include "base/cancel.h"
#include "base/userns.h"
#include "cmd/console.h"
#include "cmd/option.h"
#include "cmd/progress.h"
#include "image/session.h"

typedef enum ol_command_group {
	OL_GROUP_IMAGES,
	OL_GROUP_CONTAINERS,
	OL_GROUP_MOUNTS,
	OL_GROUP_REGISTRY,
	OL_GROUP_STORE,
	OL_GROUP_HELP,
	OL_GROUP_HIDDEN, /* shown nowhere */
} ol_command_group;

/* What a shell completes for a command's words. */
typedef enum ol_completes {
	OL_COMPLETES_NOTHING,
	OL_COMPLETES_IMAGES,
	OL_COMPLETES_CONTAINERS,
	OL_COMPLETES_BOTH,
	OL_COMPLETES_MOUNTS,
	OL_COMPLETES_COMMANDS,
} ol_completes;

/* Another way to call a command: "image ls". */
typedef struct ol_alias {
	const char *words;
	const char *implied; /* an option it stands for, "--type=image"; NULL: none */
} ol_alias;

typedef struct ol_example {
	const char *line; /* without the program's name */
	const char *does;
} ol_example;

/* What a command runs with; lives as long as the command line. */
typedef struct ol_context {
	const struct ol_command *command;
	ol_args *args;         /* owned */
	ol_console *console;   /* lent */
	ol_progress *progress; /* owned */
	ol_cancel *cancel;     /* lent */
	ol_session *session;   /* owned; NULL until ol_context_session */
	/* how an ordinary user's command fares: in a namespace of its own, or why not */
	bool entered;
	ol_userns_entry userns;
	const struct ol_mender *mender; /* check --repair: set before the session is opened */
	int status;                     /* exit status when run returns OL_OK */
} ol_context;

#define OL_COMMAND_TABLES 6

/* What an ordinary user's command does about a user namespace (base/userns.h). */
typedef enum ol_command_userns {
	OL_USERNS_ENTERS, /* all that touches layers, which have owners */
	OL_USERNS_STAYS,  /* rows and the user's own files need none: faster */
	OL_USERNS_TRIES,  /* says what there is, either way */
} ol_command_userns;

typedef struct ol_command {
	const char *name;
	ol_command_group group;
	const char *usage;       /* what follows the name: "[OPTIONS] IMAGE [IMAGE...]" */
	const char *summary;     /* one line, no full stop */
	const char *description; /* paragraphs, split by blank lines; NULL: the summary says it */
	/* its tables: its own, and those several commands have; the rest NULL */
	const ol_option *options[OL_COMMAND_TABLES];
	const ol_alias *aliases;    /* ended by a row without words; NULL: none */
	const ol_example *examples; /* ended by a row without a line; at least one unless hidden */
	unsigned words_min, words_max; /* words_max 0 with words_many: any number */
	bool words_many;
	unsigned options_end; /* as in ol_grammar */
	ol_completes completes;
	bool starts_program; /* `run`: its own failures are exit status 125 */
	ol_command_userns userns;
	/* with words it mounts what is to outlast it: not in a user namespace of its own */
	bool leaves_mounts;
	int (*run)(ol_context *ctx, ol_error *err);
} ol_command;

/* All commands, in the order help shows them; ended by NULL. */
const ol_command *const *ol_commands(void);
const ol_option *ol_global_options(void); /* ended by a row without a name */
/* By name or alias, which may be two words: *words_used says how many. NULL when there is none;
 * then *nearest is the name that may have been meant, or NULL. */
const ol_command *ol_command_find(
	char *const *words, int count, int *words_used, const char **implied, const char **nearest);
const char *ol_group_title(ol_command_group group); /* "Images", NULL for hidden */
/* The tables a command's line is parsed with, ended by NULL: its own and the global one. */
typedef struct ol_tables {
	const ol_option *tables[OL_COMMAND_TABLES + 2];
} ol_tables;
ol_tables ol_command_tables(const ol_command *command);

/* Opens the session on first use, with the global and registry options the command was given. */
int ol_context_session(ol_context *ctx, ol_session **out, ol_error *err);
/* Calls for each word in turn; a failure is told, makes the exit status 1, and does not keep the
 * others back. */
int ol_context_each_word(ol_context *ctx,
	int (*call)(ol_context *ctx, ol_session *session, const char *word, ol_error *err),
	ol_error *err);
/* --platform of a command that takes one. */
#define OL_PLATFORM_OPTION(words)                                                                  \
	{                                                                                          \
		.name = "platform", .kind = OL_OPTION_TEXT, .value = "OS/ARCH[/VARIANT]",          \
		.help = words " (DOCKER_DEFAULT_PLATFORM)", .otherwise = "this machine's"          \
	}
/* --platform where it was given, else DOCKER_DEFAULT_PLATFORM; *is_set is false where neither was.
 */
int ol_context_platform(ol_context *ctx, ol_platform *out, bool *is_set, ol_error *err);
