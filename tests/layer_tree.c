#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "tests/check.h"
#include "tests/layer_recipe.h"
#include "tests/recipe_line.h"

/* Content as a line shows it: short text as it is, the rest by size and digest. */
static void add_content(ol_str *out, const void *data, size_t size)
{
	const char *text = data;

	for (size_t i = 0; i < size; i++)
		if (size > 64 || text[i] <= ' ' || text[i] > '~') {
			ol_digest digest = ol_digest_of(OL_SHA256, data, size);

			(void)ol_str_addf(out, "#%zu:%s", size, ol_digest_short(&digest).text);
			return;
		}
	(void)ol_str_addf(out, "%.*s", (int)size, size ? text : "");
	if (size == 0)
		(void)ol_str_addc(out, '-');
}

struct shown {
	char *name, *text; /* owned; text without the name and the time */
	char *time;        /* owned */
};

struct tree {
	struct shown *list; /* owned */
	size_t count, cap;
};

static struct shown *tree_add(struct tree *tree, const char *name)
{
	OL_GROW(tree->list, tree->count, tree->cap);
	tree->list[tree->count] = (struct shown){ .name = ol_strdup(name) };
	return &tree->list[tree->count++];
}

static void tree_done(struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->list[i].name);
		free(tree->list[i].text);
		free(tree->list[i].time);
	}
	free(tree->list);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct shown *)a)->name, ((const struct shown *)b)->name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort(struct tree *tree)
{
	if (tree->count > 0)
		qsort(tree->list, tree->count, sizeof *tree->list, by_name);
}

static void tree_of_text(struct tree *tree, const char *text)
{
	recipe_line line;

	while (recipe_line_next(&text, &line)) {
		struct shown *shown = tree_add(tree, recipe_field(&line, NAME));
		ol_str out = OL_STR(RECIPE_TEXT_MAX);
		const char *arg = recipe_field(&line, ARG);

		(void)ol_str_addf(&out, "%s %s %s ", recipe_field(&line, TYPE),
			recipe_field(&line, MODE), recipe_field(&line, OWNER));
		if (recipe_field(&line, TYPE)[0] != 'f' || strcmp(arg, "-") == 0) {
			(void)ol_str_add(&out, arg);
		} else if (strcmp(arg, "@sparse") == 0) {
			ol_auto_buf ol_buf file = recipe_sparse();

			add_content(&out, file.data, file.size);
		} else {
			add_content(&out, arg, strlen(arg));
		}
		for (size_t i = XATTRS; i < line.count; i++)
			(void)ol_str_addf(&out, " %s", line.fields[i]);
		shown->text = ol_buf_steal(&out);
		shown->time = ol_strdup(recipe_field(&line, TIME));
		recipe_line_done(&line);
	}
	sort(tree);
}

static void add_value(ol_str *out, const char *value, size_t size)
{
	bool plain = true;

	for (size_t i = 0; i < size; i++)
		plain = plain && value[i] > ' ' && value[i] <= '~';
	if (!plain)
		(void)ol_str_add(out, "0x");
	for (size_t i = 0; i < size; i++)
		(void)ol_str_addf(out, plain ? "%c" : "%02x", (unsigned char)value[i]);
}

static void add_xattrs(ol_str *out, const char *path)
{
	char list[16384], value[65536];
	const char *names[64];
	size_t count = 0;
	ssize_t size = llistxattr(path, list, sizeof list);

	for (char *p = list; size > 0 && p < list + size && count < 64; p += strlen(p) + 1)
		if (strcmp(p, "security.selinux") != 0)
			names[count++] = p;
	qsort(names, count, sizeof *names, by_text);
	for (size_t i = 0; i < count; i++) {
		ssize_t n = lgetxattr(path, names[i], value, sizeof value);

		(void)ol_str_addf(out, " %s=", names[i]);
		add_value(out, value, n > 0 ? (size_t)n : 0);
	}
}

static char type_letter(mode_t mode)
{
	static const struct {
		mode_t mode;
		char letter;
	} table[] = { { S_IFDIR, 'd' }, { S_IFREG, 'f' }, { S_IFLNK, 'l' }, { S_IFCHR, 'c' },
		{ S_IFBLK, 'b' }, { S_IFIFO, 'p' } };

	OL_EACH (table, row)
		if ((mode & S_IFMT) == row->mode)
			return row->letter;
	return '?';
}

static void add_arg(ol_str *out, const char *path, const struct stat *st)
{
	if (S_ISREG(st->st_mode)) {
		ol_auto_buf ol_buf data = OL_BUF((size_t)64 << 20);
		ol_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : 0;

		while (fd >= 0 && (n = read(fd, ol_buf_room(&data, 65536), 65536)) > 0)
			data.size += (size_t)n;
		if (n < 0)
			(void)ol_str_addf(out, "(%s)", strerror(errno));
		else if (data.size != (size_t)st->st_size)
			(void)ol_str_addf(
				out, "(%zu bytes of %lld)", data.size, (long long)st->st_size);
		else
			add_content(out, data.data, data.size);
	} else if (S_ISLNK(st->st_mode)) {
		char target[8192];
		ssize_t n = readlink(path, target, sizeof target);

		(void)ol_str_addf(out, "%.*s", n > 0 ? (int)n : 0, target);
	} else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		(void)ol_str_addf(out, "%u:%u", major(st->st_rdev), minor(st->st_rdev));
	} else {
		(void)ol_str_addc(out, '-');
	}
}

static void see_file(struct tree *tree, const char *path, const char *name)
{
	ol_str out = OL_STR(RECIPE_TEXT_MAX);
	struct stat st;
	struct shown *shown = tree_add(tree, name);

	if (lstat(path, &st) < 0) {
		shown->text = ol_text("listed, but: %s", strerror(errno));
		shown->time = ol_strdup("");
		return;
	}
	(void)ol_str_addf(&out, "%c %04o %u:%u ", type_letter(st.st_mode), st.st_mode & 07777,
		st.st_uid, st.st_gid);
	add_arg(&out, path, &st);
	add_xattrs(&out, path);
	shown->text = ol_buf_steal(&out);
	if (st.st_mtim.tv_nsec)
		shown->time =
			ol_text("%lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	else
		shown->time = ol_text("%lld", (long long)st.st_mtim.tv_sec);
	if (st.st_nlink > 1 && !S_ISDIR(st.st_mode)) {
		/* For by_name order first; made a link of the first name in see_links. */
		char *text = ol_text("%s\x01%llu:%llu:%llu", shown->text,
			(unsigned long long)st.st_nlink, (unsigned long long)st.st_dev,
			(unsigned long long)st.st_ino);

		free(shown->text);
		shown->text = text;
	}
}

static void see_dir(struct tree *tree, const char *path, const char *name)
{
	DIR *dir = opendir(path);

	see_file(tree, path, name);
	if (!dir)
		return;
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		ol_autofree char *below = ol_text("%s/%s", path, d->d_name);
		ol_autofree char *below_name = strcmp(name, ".") == 0
						       ? ol_strdup(d->d_name)
						       : ol_text("%s/%s", name, d->d_name);
		struct stat st;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
			see_dir(tree, below, below_name);
		else
			see_file(tree, below, below_name);
	}
	(void)closedir(dir);
}

/* The second and later names of a file become lines of type h; a link count that is not the number
 * of names is shown. */
static void see_links(struct tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		char *mark = strchr(tree->list[i].text, '\x01');
		unsigned long long count, names = 1;

		if (!mark)
			continue;
		count = strtoull(mark + 1, NULL, 10);
		for (size_t k = i + 1; k < tree->count; k++) {
			const char *other = strchr(tree->list[k].text, '\x01');

			if (!other || strcmp(other, mark) != 0)
				continue;
			names++;
			free(tree->list[k].text);
			free(tree->list[k].time);
			tree->list[k].text = ol_text("h - - %s", tree->list[i].name);
			tree->list[k].time = ol_strdup("-");
		}
		*mark = '\0';
		if (names != count) {
			char *text = ol_text("%s (%llu links)", tree->list[i].text, count);

			free(tree->list[i].text);
			tree->list[i].text = text;
		}
	}
}

static void add_line(ol_str *out, char sign, const struct shown *s)
{
	(void)ol_str_addf(out, "%c %s %s @%s\n", sign, s->name, s->text, s->time);
}

ol_str recipe_compare(const char *tree, const char *dir)
{
	struct tree want = { 0 }, got = { 0 };
	ol_str out = OL_STR(RECIPE_TEXT_MAX);
	size_t i = 0, k = 0;

	tree_of_text(&want, tree);
	see_dir(&got, dir, ".");
	sort(&got);
	see_links(&got);
	(void)ol_str_add(&out, "");
	while (i < want.count || k < got.count) {
		int order = i == want.count  ? 1
			    : k == got.count ? -1
					     : by_name(&want.list[i], &got.list[k]);

		if (order < 0) {
			add_line(&out, '-', &want.list[i++]);
		} else if (order > 0) {
			add_line(&out, '+', &got.list[k++]);
		} else {
			const struct shown *w = &want.list[i++], *g = &got.list[k++];

			if (strcmp(w->text, g->text) != 0 ||
				(strcmp(w->time, "?") != 0 && strcmp(w->time, g->time) != 0)) {
				add_line(&out, '-', w);
				add_line(&out, '+', g);
			}
		}
	}
	tree_done(&want);
	tree_done(&got);
	return out;
}
