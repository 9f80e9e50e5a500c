#pragma once

/*
 * EROFS on disk, as far as orlop writes and reads it: Linux Documentation/filesystems/erofs.rst and
 * fs/erofs/erofs_fs.h. Everything is little-endian and lies in byte arrays, so that no struct has
 * padding and no read is misaligned.
 *
 *	0      nothing
 *	1024   superblock, then one slot a device
 *	…      inodes, 32-byte aligned: the node id of an inode is its offset / 32;
 *	       in between, blocks of directory entries
 *
 *	inode  core (64), xattrs, then chunk indexes of 8, or the target of a symbolic link
 *
 * A directory's data are blocks of 512: entries of 12, then their names, in order of their bytes.
 */
#include <stdint.h>

#define OL_EROFS_MAGIC      0xE0F5E1E2U
#define OL_EROFS_SUPER_AT   1024
#define OL_EROFS_BLOCK_BITS 9
#define OL_EROFS_BLOCK      512
#define OL_EROFS_NODE_BYTES 32 /* the unit of node ids */
#define OL_EROFS_NAME_MAX   255
#define OL_EROFS_DEVICES_MAX                                                                       \
	1000 /* more than layers; the root after their slots still has a 16-bit node id */

/* feature_compat */
#define OL_EROFS_COMPAT_MTIME 0x2U
/* feature_incompat */
#define OL_EROFS_INCOMPAT_CHUNKED 0x4U
#define OL_EROFS_INCOMPAT_DEVICES 0x8U

/* format: bit 0 says that the inode is an extended one, bits 1 to 3 how its data is laid out */
#define OL_EROFS_EXTENDED  1U
#define OL_EROFS_PLAIN     0U /* blocks one after the other, from u on */
#define OL_EROFS_INLINE    2U /* right behind the xattrs, within one block */
#define OL_EROFS_CHUNKED   4U /* chunk indexes behind the xattrs */
#define OL_EROFS_LAYOUT(f) (((unsigned)(f) >> 1) & 7U)

/* u of a chunked inode: the chunk's size is a block << (u & 31); the entries are indexes of
 * 8 bytes */
#define OL_EROFS_CHUNK_INDEXES   0x20U
#define OL_EROFS_CHUNK_BITS_MASK 0x1FU
#define OL_EROFS_HOLE            0xFFFFFFFFU

struct ol_erofs_super {
	uint8_t magic[4], checksum[4], compat[4];
	uint8_t block_bits, extra_slots, root_node[2];
	uint8_t inodes[8], build_time[8], build_nsec[4];
	uint8_t blocks[4], meta_block[4], xattr_block[4];
	uint8_t uuid[16], volume[16], incompat[4];
	uint8_t algorithms[2], devices[2], device_slot[2];
	uint8_t dir_block_bits, prefix_count, prefix_start[4];
	uint8_t packed_node[8], xattr_filter, reserved[23];
};

/* tag: orlop keeps the digest of the tar that the device is, its raw bytes followed by zeros; none
 * for the layer's own. */
struct ol_erofs_slot {
	uint8_t tag[64], blocks[4], mapped_block[4], reserved[56];
};

struct ol_erofs_inode_disk {
	uint8_t format[2], xattr_count[2], mode[2], reserved[2];
	uint8_t size[8], u[4], number[4], uid[4], gid[4];
	uint8_t mtime[8], mtime_nsec[4], nlink[4], reserved2[16];
};

struct ol_erofs_dirent {
	uint8_t node[8], name_at[2], type, reserved;
};

struct ol_erofs_chunk {
	uint8_t advice[2], device[2], block[4];
};

/* Before the first xattr of an inode. Its count in the inode is 1 + the rest in units of
 * 4 bytes. */
struct ol_erofs_xattr_head {
	uint8_t filter[4], shared_count, reserved[7];
};

/* Then name and value, and zeros up to a multiple of 4. */
struct ol_erofs_xattr_entry {
	uint8_t name_size, prefix, value_size[2];
};

_Static_assert(sizeof(struct ol_erofs_super) == 128, "superblock");
_Static_assert(__builtin_offsetof(struct ol_erofs_super, root_node) == 14, "superblock");
_Static_assert(__builtin_offsetof(struct ol_erofs_super, uuid) == 48, "superblock");
_Static_assert(__builtin_offsetof(struct ol_erofs_super, incompat) == 80, "superblock");
_Static_assert(__builtin_offsetof(struct ol_erofs_super, device_slot) == 88, "superblock");
_Static_assert(__builtin_offsetof(struct ol_erofs_super, packed_node) == 96, "superblock");
_Static_assert(sizeof(struct ol_erofs_slot) == 128, "device slot");
_Static_assert(__builtin_offsetof(struct ol_erofs_slot, mapped_block) == 68, "device slot");
_Static_assert(sizeof(struct ol_erofs_inode_disk) == 64, "inode");
_Static_assert(__builtin_offsetof(struct ol_erofs_inode_disk, u) == 16, "inode");
_Static_assert(__builtin_offsetof(struct ol_erofs_inode_disk, mtime) == 32, "inode");
_Static_assert(__builtin_offsetof(struct ol_erofs_inode_disk, nlink) == 44, "inode");
_Static_assert(sizeof(struct ol_erofs_dirent) == 12, "directory entry");
_Static_assert(sizeof(struct ol_erofs_chunk) == 8, "chunk index");
_Static_assert(sizeof(struct ol_erofs_xattr_head) == 12, "xattr head");
_Static_assert(sizeof(struct ol_erofs_xattr_entry) == 4, "xattr entry");

/* Types in directory entries. */
enum {
	OL_EROFS_TYPE_FILE = 1,
	OL_EROFS_TYPE_DIR,
	OL_EROFS_TYPE_CHAR,
	OL_EROFS_TYPE_BLOCK,
	OL_EROFS_TYPE_FIFO,
	OL_EROFS_TYPE_SOCKET,
	OL_EROFS_TYPE_SYMLINK,
};

/* What stands for the beginning of an xattr's name. */
enum {
	OL_EROFS_XATTR_USER = 1,
	OL_EROFS_XATTR_ACL_ACCESS,
	OL_EROFS_XATTR_ACL_DEFAULT,
	OL_EROFS_XATTR_TRUSTED,
	OL_EROFS_XATTR_LUSTRE,
	OL_EROFS_XATTR_SECURITY,
};

/* In an index that leans on the layers below, and so is never mounted: a directory that the tar
 * does not list (on the root of any index), and a hard link to a path of a lower layer. */
#define OL_EROFS_XATTR_IMPLIED "trusted.orlop.implied"
#define OL_EROFS_XATTR_LINK    "trusted.orlop.link"

static inline uint16_t ol_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t ol_get32(const uint8_t *p)
{
	return (uint32_t)ol_get16(p) | (uint32_t)ol_get16(p + 2) << 16;
}
static inline uint64_t ol_get64(const uint8_t *p)
{
	return (uint64_t)ol_get32(p) | (uint64_t)ol_get32(p + 4) << 32;
}
static inline void ol_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static inline void ol_put32(uint8_t *p, uint32_t v)
{
	ol_put16(p, (uint16_t)v);
	ol_put16(p + 2, (uint16_t)(v >> 16));
}
static inline void ol_put64(uint8_t *p, uint64_t v)
{
	ol_put32(p, (uint32_t)v);
	ol_put32(p + 4, (uint32_t)(v >> 32));
}
/* The kernel's new_encode_dev. */
static inline uint32_t ol_erofs_encode_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
}
