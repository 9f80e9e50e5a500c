#include <fcntl.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cmd/commands.h"
#include "cmd/man.h"

#define PAGE_BYTES_MAX ((size_t)1 << 20)

static int write_page(int dir_fd, const char *name, const ol_str *page, ol_error *err)
{
	return ol_publish(dir_fd, name, ol_buf_view(page), 0644, OL_PUBLISH_REPLACE, err);
}

static int write_all(int dir_fd, ol_error *err)
{
	ol_auto_str ol_str page = OL_STR(PAGE_BYTES_MAX);
	int rc = ol_man_program(&page, err);

	if (rc == OL_OK)
		rc = write_page(dir_fd, "orlop.1", &page, err);
	for (const ol_command *const *c = ol_commands(); rc == OL_OK && *c; c++) {
		ol_autofree char *name = ol_text("orlop-%s.1", (*c)->name);

		if ((*c)->group == OL_GROUP_HIDDEN)
			continue;
		ol_buf_clear(&page);
		rc = ol_man_command(*c, &page, err);
		if (rc == OL_OK)
			rc = write_page(dir_fd, name, &page, err);
	}
	return rc;
}

static int run(ol_context *ctx, ol_error *err)
{
	const char *dir = ol_args_word(ctx->args, 0);
	ol_autofd int dir_fd = -1;
	int rc = ol_mkdirs(AT_FDCWD, dir, 0755, err);

	if (rc == OL_OK)
		rc = ol_dir_open(AT_FDCWD, dir, &dir_fd, err);
	return rc < 0 ? rc : write_all(dir_fd, err);
}

const ol_command ol_command_man = {
	.name = "man",
	.group = OL_GROUP_HIDDEN,
	.usage = "DIR",
	.summary = "Write the manual pages into a folder",
	.examples = (const ol_example[]){ { "man /usr/share/man/man1", "what make install does" },
		{ 0 } },
	.words_min = 1,
	.words_max = 1,
	.userns = OL_USERNS_STAYS,
	.run = run,
};
