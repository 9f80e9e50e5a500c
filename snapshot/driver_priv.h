#pragma once

/* The rows of the table of drivers; each is defined in <name>_driver.c. */
#include "snapshot/driver.h"

extern const ol_driver ol_driver_erofs;
extern const ol_driver ol_driver_dir;
extern const ol_driver ol_driver_lazy;
