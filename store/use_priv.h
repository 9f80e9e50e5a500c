#pragma once

/* What use.c, use_container.c and use_mount.c share. */
#include "store/store_priv.h"
#include "store/use.h"

#define OL_USER_ID_HEX         64
#define OL_USE_NAME_BYTES_MAX  ((size_t)255)
#define OL_USE_IMAGE_BYTES_MAX ((size_t)1024)
#define OL_USE_PATH_BYTES_MAX  ((size_t)4096)

/* 64 lower-case hex digits: it becomes a folder's name. */
bool ol_is_user_id(const char *id);
