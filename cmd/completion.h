#pragma once

/* Shell completion, made from the table of commands. */
#include "base/str.h"

/* shell: "bash", "zsh" or "fish". OL_EINVAL for another. */
int ol_completion_script(const char *shell, ol_str *out, ol_error *err);
