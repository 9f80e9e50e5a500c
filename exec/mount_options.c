#include "exec/mount_options.h"

#include <stddef.h>
#include <string.h>
#include <sys/mount.h>

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

static const struct {
	const char *name;
	ol_mount_option_kind kind;
	uint64_t set, clear;
	bool recursive;
} table[] = {
	{ "ro", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_RDONLY, 0, false },
	{ "rw", OL_MOUNT_ATTRIBUTE, 0, MOUNT_ATTR_RDONLY, false },
	{ "nosuid", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_NOSUID, 0, false },
	{ "suid", OL_MOUNT_ATTRIBUTE, 0, MOUNT_ATTR_NOSUID, false },
	{ "nodev", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_NODEV, 0, false },
	{ "dev", OL_MOUNT_ATTRIBUTE, 0, MOUNT_ATTR_NODEV, false },
	{ "noexec", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_NOEXEC, 0, false },
	{ "exec", OL_MOUNT_ATTRIBUTE, 0, MOUNT_ATTR_NOEXEC, false },
	{ "nosymfollow", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_NOSYMFOLLOW, 0, false },
	{ "nodiratime", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_NODIRATIME, 0, false },
	{ "diratime", OL_MOUNT_ATTRIBUTE, 0, MOUNT_ATTR_NODIRATIME, false },
	{ "relatime", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, false },
	{ "noatime", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, false },
	{ "strictatime", OL_MOUNT_ATTRIBUTE, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, false },
	{ "bind", OL_MOUNT_BIND, 0, 0, false }, { "rbind", OL_MOUNT_BIND, 0, 0, true },
	{ "private", OL_MOUNT_PROPAGATION, MS_PRIVATE, 0, false },
	{ "rprivate", OL_MOUNT_PROPAGATION, MS_PRIVATE, 0, false },
	{ "slave", OL_MOUNT_PROPAGATION, MS_SLAVE, 0, false },
	{ "rslave", OL_MOUNT_PROPAGATION, MS_SLAVE, 0, false },
	/* mount(8)'s own, which say nothing to a kernel; z and Z are for SELinux, consistency and
	   copying for others. */
	{ "defaults", OL_MOUNT_BIND, 0, 0, false }, { "nocopy", OL_MOUNT_BIND, 0, 0, false },
	{ "z", OL_MOUNT_BIND, 0, 0, false }, { "Z", OL_MOUNT_BIND, 0, 0, false },
	{ "consistent", OL_MOUNT_BIND, 0, 0, false }, { "cached", OL_MOUNT_BIND, 0, 0, false },
	{ "delegated", OL_MOUNT_BIND, 0, 0, false },
	{ "newinstance", OL_MOUNT_BIND, 0, 0, false }, /* devpts: always, since Linux 4.7 */
};

ol_mount_option_kind ol_mount_flags_add(ol_mount_flags *flags, const char *option)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (strcmp(table[i].name, option) != 0)
			continue;
		if (table[i].kind == OL_MOUNT_PROPAGATION) {
			flags->propagation = table[i].set;
		} else if (table[i].kind == OL_MOUNT_ATTRIBUTE) {
			flags->set = (flags->set & ~(table[i].set | table[i].clear)) | table[i].set;
			flags->clear = (flags->clear & ~table[i].set) | table[i].clear;
		}
		flags->recursive = flags->recursive || table[i].recursive;
		return table[i].kind;
	}
	return OL_MOUNT_DATA;
}

ol_mount_flags ol_mount_flags_of(const char *const *options)
{
	ol_mount_flags flags = { .set = 0 };

	for (; *options; options++)
		(void)ol_mount_flags_add(&flags, *options);
	return flags;
}
