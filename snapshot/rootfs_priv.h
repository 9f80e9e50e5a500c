#pragma once

/* In containers/<id>/: where a tmpfs is mounted for the moment an overlay over it is made. */
#define OL_ROOTFS_TMPFS "tmpfs"
