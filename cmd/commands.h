#pragma once

/* The rows of the table of commands, each from its own file cmd_<name>.c. */
#include "cmd/command.h"

extern const ol_command ol_command_auth;
extern const ol_command ol_command_bundle;
extern const ol_command ol_command_check;
extern const ol_command ol_command_completion;
extern const ol_command ol_command_convert;
extern const ol_command ol_command_copy;
extern const ol_command ol_command_df;
extern const ol_command ol_command_export;
extern const ol_command ol_command_gc;
extern const ol_command ol_command_help;
extern const ol_command ol_command_history;
extern const ol_command ol_command_images;
extern const ol_command ol_command_import;
extern const ol_command ol_command_index;
extern const ol_command ol_command_info;
extern const ol_command ol_command_inspect;
extern const ol_command ol_command_load;
extern const ol_command ol_command_login;
extern const ol_command ol_command_logout;
extern const ol_command ol_command_man;
extern const ol_command ol_command_mount;
extern const ol_command ol_command_mounts;
extern const ol_command ol_command_pin;
extern const ol_command ol_command_prune;
extern const ol_command ol_command_ps;
extern const ol_command ol_command_pull;
extern const ol_command ol_command_push;
extern const ol_command ol_command_rm;
extern const ol_command ol_command_rmi;
extern const ol_command ol_command_run;
extern const ol_command ol_command_save;
extern const ol_command ol_command_sync;
extern const ol_command ol_command_lazy_holder;
extern const ol_command ol_command_lazy_worker;
extern const ol_command ol_command_tag;
extern const ol_command ol_command_umount;
extern const ol_command ol_command_unpin;
extern const ol_command ol_command_unshare;
extern const ol_command ol_command_untag;
extern const ol_command ol_command_version;
