#include <assert.h>

#include "cmd/option.h"
#include "tests/fuzz/fuzz.h"

#define WORDS_MAX 32

/* A command line, its words split by newlines; the first byte says where options end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const ol_option table[] = {
		{ .name = "quiet", .letter = 'q', .kind = OL_OPTION_FLAG, .help = "x" },
		{ .name = "env", .letter = 'e', .kind = OL_OPTION_LIST, .value = "X", .help = "x" },
		{ .name = "pull",
			.kind = OL_OPTION_TEXT,
			.value = "X",
			.choices = "always|never",
			.help = "x" },
		{ .name = "detach", .letter = 'd', .kind = OL_OPTION_REFUSED, .help = "x" },
		{ .name = "help", .kind = OL_OPTION_FLAG, .help = "x" },
		{ 0 },
	};
	static const ol_option *const tables[] = { table, NULL };
	const ol_grammar grammar = {
		.tables = tables, .options_end = size ? data[0] % 3 : 0, .h_is_help = true
	};
	ol_autofree char *text = ol_strndup((const char *)data, size);
	char *words[WORDS_MAX], *rest = text, *word;
	ol_auto(ol_args_free) ol_args *args = NULL;
	ol_error err;
	int count = 0;

	while (count < WORDS_MAX && (word = strsep(&rest, "\n")))
		words[count++] = word;
	if (ol_args_parse(&grammar, count, words, &args, &err) < 0)
		return 0;
	assert(ol_args_word_count(args) <= (size_t)count);
	for (const char *const *e = ol_args_list(args, "env"); *e; e++)
		count--;
	assert(count >= 0);
	(void)ol_args_flag(args, "quiet");
	assert(!ol_args_text(args, "pull") || strcmp(ol_args_text(args, "pull"), "always") == 0 ||
		strcmp(ol_args_text(args, "pull"), "never") == 0);
	return 0;
}
