#include "exec/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/userns.h"
#include "exec/stage_plan.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

/* Arguments and environment: what the kernel takes, and the filter: BPF_MAXINSNS of 8 bytes. */
#define PLAN_BYTES_MAX   ((size_t)8 << 20)
#define FILTER_BYTES_MAX ((size_t)1 << 20)

__asm__(".pushsection .rodata\n"
	".balign 16\n"
	"orlop_stage_begin:\n"
	".incbin \"" ORLOP_STAGE_FILE "\"\n"
	"orlop_stage_end:\n"
	".byte 0\n"
	".popsection\n");
extern const char orlop_stage_begin[], orlop_stage_end[];

ol_view ol_stage_program(void)
{
	return (ol_view){ orlop_stage_begin, (size_t)(orlop_stage_end - orlop_stage_begin) };
}

int ol_stage_open(int *out, ol_error *err)
{
	ol_view program = ol_stage_program();
	ol_autofd int fd = memfd_create("orlop-init", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	int rc;

	if (fd < 0 && errno == EINVAL) /* a kernel that does not know MFD_EXEC, and needs none */
		fd = memfd_create("orlop-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		rc = ol_fail_sys(err, "cannot make a file in memory to start the container from");
		return ol_hint(err, rc, "sysctl vm.memfd_noexec must not be 2");
	}
	rc = ol_write_all(fd, program.data, program.size, err);
	if (rc < 0)
		return rc;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return ol_fail_sys(err, "cannot seal the file the container starts from");
	*out = ol_steal_fd(&fd);
	return OL_OK;
}

static uint32_t add_strings(ol_buf *plan, const char *const *list)
{
	uint32_t count = 0;

	for (; list && *list; list++, count++)
		(void)ol_buf_add(plan, *list, strlen(*list) + 1);
	return count;
}

static int fill(const ol_bundle *bundle, uint64_t capabilities, ol_buf *out, ol_error *err)
{
	ol_auto_buf ol_buf filter = OL_BUF(FILTER_BYTES_MAX), strings = OL_BUF(PLAN_BYTES_MAX);
	ol_stage_plan plan = {
		.magic = OL_STAGE_MAGIC,
		.flags = (bundle->init ? OL_STAGE_INIT : 0U) |
			 (bundle->no_new_privileges ? OL_STAGE_NO_NEW_PRIVILEGES : 0U) |
			 (bundle->here && !bundle->here->has_groups ? OL_STAGE_KEEP_GROUPS : 0U),
		.uid = bundle->user.uid,
		.gid = bundle->user.gid,
		.group_count = (uint32_t)bundle->user.group_count,
		.bounding = capabilities,
		.permitted = capabilities,
	};
	int rc = bundle->seccomp ? ol_seccomp_compile(bundle->seccomp, &filter, err) : OL_OK;

	if (rc < 0)
		return rc;
	plan.filter_count = (uint32_t)(filter.size / sizeof(struct sock_filter));
	plan.arg_count = add_strings(&strings, bundle->args);
	plan.env_count = add_strings(&strings, bundle->env);
	rc = ol_str_error(&strings, err);
	if (rc < 0)
		return ol_wrap(err, rc, "arguments and environment");
	(void)ol_buf_add(out, &plan, sizeof plan);
	(void)ol_buf_add(
		out, bundle->user.groups, bundle->user.group_count * sizeof bundle->user.groups[0]);
	(void)ol_buf_add(out, filter.data, filter.size);
	(void)ol_buf_add(out, strings.data, strings.size);
	return ol_str_error(out, err);
}

int ol_stage_plan_open(const ol_bundle *bundle, uint64_t capabilities, int *out, ol_error *err)
{
	ol_auto_buf ol_buf plan = OL_BUF(2 * PLAN_BYTES_MAX);
	ol_autofd int fd = -1;
	int rc = fill(bundle, capabilities, &plan, err);

	if (rc < 0)
		return rc;
	fd = memfd_create("plan", MFD_CLOEXEC);
	if (fd < 0)
		return ol_fail_sys(err, "cannot make a file in memory");
	rc = ol_write_all(fd, plan.data, plan.size, err);
	if (rc == OL_OK)
		*out = ol_steal_fd(&fd);
	return rc;
}
