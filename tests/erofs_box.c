#include "tests/erofs_box.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/child.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20)
#define TAR_BYTES      ((uint64_t)1 << 40)

static uint64_t place(ol_tar_entry *entry, uint64_t next)
{
	if (!entry->target)
		entry->target = "";
	if (entry->type != OL_TAR_FILE)
		return next;
	if (!entry->sparse)
		entry->data_size = entry->size;
	for (size_t i = 0; entry->sparse && i < entry->sparse_count; i++)
		entry->data_size += entry->sparse[i].size;
	if (!entry->data_offset && entry->data_size)
		entry->data_offset = next;
	return next + ((entry->data_size + 511) & ~(uint64_t)511);
}

erofs_box box_write(const ol_tar_entry *entries, size_t count, size_t budget)
{
	erofs_box box = { .fd = memfd_create("index", MFD_CLOEXEC) };
	int temp_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const ol_erofs_writer_options options = {
		.index_fd = box.fd, .temp_fd = temp_fd, .budget_bytes = budget
	};
	ol_auto(ol_erofs_writer_free) ol_erofs_writer *writer = ol_erofs_writer_new(&options);
	const ol_erofs_device device = { .bytes = TAR_BYTES };
	uint64_t next = 4096;

	assert_true(box.fd >= 0 && temp_fd >= 0);
	for (size_t i = 0; box.rc == OL_OK && i < count; i++) {
		ol_tar_entry entry = entries[i];

		next = place(&entry, next);
		box.rc = ol_erofs_writer_add(writer, &entry, 1, &box.err);
	}
	if (box.rc == OL_OK)
		box.rc = ol_erofs_writer_finish(writer, &device, 1, &box.written, &box.err);
	(void)close(temp_fd);
	return box;
}

void box_done(erofs_box *box)
{
	(void)close(box->fd);
}

ol_erofs *box_open(const erofs_box *box)
{
	ol_erofs *erofs = NULL;
	ol_error err = { 0 };

	if (box->rc < 0)
		print_error("writer: %s\n", box->err.text);
	assert_int_equal(OL_OK, box->rc);
	if (ol_erofs_open(ol_source_of_fd(dup(box->fd), box->written.bytes), &erofs, &err) < 0)
		fail_msg("open: %s", err.text);
	return erofs;
}

struct lister {
	ol_erofs *erofs;
	ol_str *text;
};

static void list_xattrs(struct lister *lister, const ol_erofs_inode *inode, ol_error *err)
{
	ol_auto(ol_arena_free) ol_arena *arena = ol_arena_new();
	ol_xattr *xattrs = NULL;
	size_t count = 0;

	assert_int_equal(OL_OK, ol_erofs_xattrs(lister->erofs, inode, arena, &xattrs, &count, err));
	for (size_t i = 0; i < count; i++) {
		ol_str_addf(lister->text, " %s=", xattrs[i].name.data);
		ol_str_add_safe(lister->text, xattrs[i].value);
	}
}

static void list_data(struct lister *lister, const ol_erofs_inode *inode, ol_error *err)
{
	ol_str_addf(lister->text, " %llu=", (unsigned long long)inode->size);
	for (uint64_t at = 0; at < inode->size;) {
		ol_erofs_extent extent;

		assert_int_equal(OL_OK, ol_erofs_extent_at(lister->erofs, inode, at, &extent, err));
		ol_str_addf(lister->text, at ? "," : "");
		if (extent.hole)
			ol_str_add(lister->text, "hole");
		else
			ol_str_addf(lister->text, "%u:%llu", extent.device,
				(unsigned long long)extent.address);
		ol_str_addf(lister->text, "+%llu", (unsigned long long)extent.size);
		at += extent.size;
	}
}

static int list_visit(void *ctx, const ol_erofs_visit *visit, ol_error *err)
{
	struct lister *lister = ctx;
	const ol_erofs_inode *inode = &visit->inode;
	char target[OL_PATH_MAX + 1];
	ol_erofs_inode found;
	char kind = S_ISDIR(inode->mode)    ? 'd'
		    : S_ISLNK(inode->mode)  ? 'l'
		    : S_ISCHR(inode->mode)  ? 'c'
		    : S_ISBLK(inode->mode)  ? 'b'
		    : S_ISFIFO(inode->mode) ? 'p'
					    : '-';

	/* Whatever is listed is found, too. */
	assert_int_equal(OL_OK, ol_erofs_find(lister->erofs, visit->path, &found, err));
	assert_int_equal(inode->node, found.node);
	ol_str_addf(lister->text, "/%s %c %04o %u:%u %lld.%09ld", visit->path, kind,
		inode->mode & 07777, inode->uid, inode->gid, (long long)inode->mtime.tv_sec,
		inode->mtime.tv_nsec);
	if (kind != 'd' && inode->nlink != 1)
		ol_str_addf(lister->text, " n=%u", inode->nlink);
	if (kind == 'c' || kind == 'b')
		ol_str_addf(lister->text, " %u:%u", inode->dev_major, inode->dev_minor);
	if (kind == 'l') {
		assert_int_equal(OL_OK, ol_erofs_readlink(lister->erofs, inode, target, err));
		ol_str_addf(lister->text, " -> %s", target);
	}
	list_xattrs(lister, inode, err);
	if (kind == '-')
		list_data(lister, inode, err);
	return ol_str_addc(lister->text, '\n');
}

ol_str box_text(const erofs_box *box)
{
	ol_auto(ol_erofs_close) ol_erofs *erofs = box_open(box);
	ol_str text = OL_STR(TEXT_BYTES_MAX);
	struct lister lister = { erofs, &text };
	ol_error err = { 0 };

	if (ol_erofs_walk(erofs, list_visit, &lister, &err) < 0)
		fail_msg("walk: %s", err.text);
	return text;
}

static const char *fsck_program(void)
{
	const char *named = getenv("ORLOP_FSCK_EROFS");

	return named && *named ? named : "fsck.erofs";
}

static bool fsck_is_new(void)
{
	const char *const argv[] = { fsck_program(), "--version", NULL };
	ol_auto_buf ol_buf out = OL_BUF(4096);
	unsigned big = 0, small = 0;
	const char *digits;
	int status = 0;

	if (ol_child_run(argv, ol_view_of(""), &out, &status, NULL) < 0 || !out.data)
		return false;
	digits = strpbrk(out.data, "0123456789");
	if (!digits || sscanf(digits, "%u.%u", &big, &small) != 2)
		return false;
	return big > 1 || (big == 1 && small >= 8);
}

bool box_fsck(const erofs_box *box, uint64_t tar_bytes)
{
	char index[64], device[64];
	const char *const argv[] = { fsck_program(), device, index, NULL };
	ol_auto_buf ol_buf out = OL_BUF(1 << 20);
	int tar_fd, status = 0;
	ol_error err = { 0 };

	if (!fsck_is_new())
		return false;
	tar_fd = memfd_create("tar", MFD_CLOEXEC);
	assert_int_equal(0, ftruncate(tar_fd, (off_t)tar_bytes));
	(void)snprintf(index, sizeof index, "/proc/%d/fd/%d", getpid(), box->fd);
	(void)snprintf(device, sizeof device, "--device=/proc/%d/fd/%d", getpid(), tar_fd);
	if (ol_child_run(argv, ol_view_of(""), &out, &status, &err) < 0)
		fail_msg("fsck.erofs: %s", err.text);
	(void)close(tar_fd);
	if (status)
		fail_msg("fsck.erofs ends with %d: %s", status, ol_str_text(&out));
	return true;
}
