#include "cmd/commands.h"

#include <stdio.h>

#include "cmd/command.h"
#include "cmd/suggest.h"

const ol_command *const *ol_commands(void)
{
	static const ol_command *const commands[] = {
		&ol_command_pull,
		&ol_command_push,
		&ol_command_copy,
		&ol_command_load,
		&ol_command_images,
		&ol_command_inspect,
		&ol_command_history,
		&ol_command_tag,
		&ol_command_untag,
		&ol_command_rmi,
		&ol_command_pin,
		&ol_command_unpin,
		&ol_command_save,
		&ol_command_import,
		&ol_command_index,
		&ol_command_convert,
		&ol_command_run,
		&ol_command_ps,
		&ol_command_rm,
		&ol_command_export,
		&ol_command_mount,
		&ol_command_umount,
		&ol_command_mounts,
		&ol_command_bundle,
		&ol_command_unshare,
		&ol_command_login,
		&ol_command_logout,
		&ol_command_auth,
		&ol_command_check,
		&ol_command_df,
		&ol_command_prune,
		&ol_command_gc,
		&ol_command_info,
		&ol_command_version,
		&ol_command_help,
		&ol_command_completion,
		&ol_command_man,
		&ol_command_sync,
		&ol_command_lazy_holder,
		&ol_command_lazy_worker,
		NULL,
	};

	return commands;
}

const ol_option *ol_global_options(void)
{
	static const ol_option options[] = {
		{ .name = "root",
			.kind = OL_OPTION_TEXT,
			.value = "DIR",
			.completes = "dir",
			.help = "Where images are kept (ORLOP_ROOT)",
			.otherwise = "/var/lib/orlop; rootless $XDG_DATA_HOME/orlop" },
		{ .name = "run-root",
			.kind = OL_OPTION_TEXT,
			.value = "DIR",
			.completes = "dir",
			.help = "Where mounts and other state of this boot are kept (ORLOP_RUN)",
			.otherwise = "/run/orlop; rootless $XDG_RUNTIME_DIR/orlop" },
		{ .name = "driver",
			.kind = OL_OPTION_TEXT,
			.value = "NAME",
			.choices = "erofs|dir",
			.help = "How layers are kept (ORLOP_DRIVER)",
			.otherwise = "the best that works here" },
		{ .name = "debug",
			.kind = OL_OPTION_FLAG,
			.help = "Trace what is done on stderr, as ORLOP_TRACE=all does" },
		{ .name = "help", .kind = OL_OPTION_FLAG, .help = "Show help and exit" },
		{ 0 },
	};

	return options;
}

const char *ol_group_title(ol_command_group group)
{
	static const char *const titles[] = {
		[OL_GROUP_IMAGES] = "Images",
		[OL_GROUP_CONTAINERS] = "Containers",
		[OL_GROUP_MOUNTS] = "Mounts and bundles",
		[OL_GROUP_REGISTRY] = "Registries",
		[OL_GROUP_STORE] = "The store",
		[OL_GROUP_HELP] = "About orlop",
		[OL_GROUP_HIDDEN] = NULL,
	};

	return titles[group];
}

ol_tables ol_command_tables(const ol_command *command)
{
	ol_tables out = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < OL_COMMAND_TABLES && command->options[i]; i++)
		out.tables[count++] = command->options[i];
	out.tables[count] = ol_global_options();
	return out;
}

/* name is "ls", or "image ls" as two words. How many of the words it takes; 0: it is another. */
static int matches(const char *name, char *const *words, int count)
{
	const char *space = strchr(name, ' ');
	size_t size = space ? (size_t)(space - name) : strlen(name);

	if (count < 1 || strlen(words[0]) != size || memcmp(words[0], name, size) != 0)
		return 0;
	if (!space)
		return 1;
	return count > 1 && strcmp(words[1], space + 1) == 0 ? 2 : 0;
}

static void suggest(char *const *words, int count, const char **nearest)
{
	ol_suggestion best = ol_suggestion_for(words[0], strlen(words[0]));
	char both[128];
	bool group = false;

	(void)snprintf(both, sizeof both, "%s %s", words[0], count > 1 ? words[1] : "");
	for (const ol_command *const *c = ol_commands(); *c; c++) {
		if ((*c)->group != OL_GROUP_HIDDEN)
			ol_suggestion_try(&best, (*c)->name);
		for (const ol_alias *a = (*c)->aliases; a && a->words; a++)
			group = group || (strlen(a->words) > strlen(words[0]) &&
						 a->words[strlen(words[0])] == ' ' &&
						 memcmp(a->words, words[0], strlen(words[0])) == 0);
	}
	if (group) {
		/* "image lst": the nearest of "image …". */
		best = ol_suggestion_for(both, strlen(both));
		for (const ol_command *const *c = ol_commands(); *c; c++)
			for (const ol_alias *a = (*c)->aliases; a && a->words; a++)
				if (strchr(a->words, ' '))
					ol_suggestion_try(&best, a->words);
	}
	*nearest = ol_suggestion_text(&best);
}

const ol_command *ol_command_find(
	char *const *words, int count, int *words_used, const char **implied, const char **nearest)
{
	*implied = *nearest = NULL;
	for (const ol_command *const *c = ol_commands(); *c; c++) {
		*words_used = matches((*c)->name, words, count);
		if (*words_used)
			return *c;
		for (const ol_alias *a = (*c)->aliases; a && a->words; a++) {
			*words_used = matches(a->words, words, count);
			if (*words_used) {
				*implied = a->implied;
				return *c;
			}
		}
	}
	suggest(words, count, nearest);
	return NULL;
}
