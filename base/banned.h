#pragma once

/* Functions that cannot be used safely do not compile. Included into every file by the build
 * (-include), after the system headers that declare them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OL_BANNED(f) sorry_##f##_is_banned

#undef strcpy
#define strcpy(x, y) OL_BANNED(strcpy)
#undef strcat
#define strcat(x, y) OL_BANNED(strcat)
#undef strncpy
#define strncpy(x, y, n) OL_BANNED(strncpy)
#undef strncat
#define strncat(x, y, n) OL_BANNED(strncat)
#undef strtok
#define strtok(x, y) OL_BANNED(strtok)
#undef sprintf
#define sprintf(...) OL_BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) OL_BANNED(vsprintf)
#undef gets
#define gets(x) OL_BANNED(gets)
#undef atoi
#define atoi(x) OL_BANNED(atoi)
#undef atol
#define atol(x) OL_BANNED(atol)
#undef atoll
#define atoll(x) OL_BANNED(atoll)
#undef tmpnam
#define tmpnam(x) OL_BANNED(tmpnam)
#undef mktemp
#define mktemp(x) OL_BANNED(mktemp)
