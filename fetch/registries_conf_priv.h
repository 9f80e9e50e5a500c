#pragma once

#include <stdbool.h>

#include "base/view.h"

/* A name (without tag and digest) whose first part is no host: looked for among aliases. */
bool ol_is_short_name(ol_view name);
