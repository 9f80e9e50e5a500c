#pragma once

/*
 * Changes to an image's config in the words of a Dockerfile, as docker import and commit take them:
 *
 *	CMD ["a", "b"]         CMD a b            the second means /bin/sh -c "a b"
 *	ENTRYPOINT …           as CMD
 *	ENV A=1 B="x y"        ENV A the rest of the line
 *	LABEL …                as ENV
 *	EXPOSE 80 53/udp 8000-8010
 *	VOLUME ["/a"]          VOLUME /a /b
 *	USER u[:g]   WORKDIR path   STOPSIGNAL SIGTERM
 *
 *	change.c        the instructions
 *	change_words.c  words: quotes, backslashes, ${variables}
 */
#include "manifest/json.h"

/* Applies one instruction to the member "config" of an image config, which config is. The
 * instruction's name may be in any case, and a "=" may follow it instead of a space (podman's
 * form). OL_EINVAL says what is wrong with it. */
int ol_change_apply(ol_json *config, const char *text, ol_error *err);

/* Words of a line as docker's parser splits them. Where variables come from: the value, or NULL. */
typedef struct ol_change_words {
	const char *rest; /* what was not split yet; lent */
	const char *(*variable)(void *ctx, ol_view name);
	void *ctx;
} ol_change_words;

/* The next word as it stands, quotes and all; false at the end. */
bool ol_change_word_next(ol_change_words *words, ol_view *out);
/* The word without quotes and backslashes, variables replaced. OL_EINVAL: a quote or brace that is
 * not closed, or a kind of replacement there is none of. */
int ol_change_word_expand(const ol_change_words *words, ol_view word, ol_str *out, ol_error *err);
