#pragma once

/* The rows of the table of commands, each from its own file cmd_<name>.c. */
#include "cmd/command.h"

extern const ol_command ol_command_auth, ol_command_bundle, ol_command_check, ol_command_completion,
	ol_command_copy, ol_command_df, ol_command_export, ol_command_gc, ol_command_help,
	ol_command_history, ol_command_images, ol_command_import, ol_command_info,
	ol_command_inspect, ol_command_load, ol_command_login, ol_command_logout, ol_command_man,
	ol_command_mount, ol_command_mounts, ol_command_pin, ol_command_prune, ol_command_ps,
	ol_command_pull, ol_command_push, ol_command_rm, ol_command_rmi, ol_command_run,
	ol_command_save, ol_command_sync, ol_command_tag, ol_command_umount, ol_command_unpin,
	ol_command_unshare, ol_command_untag, ol_command_version;
