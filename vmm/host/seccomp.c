// SPDX-License-Identifier: BSD-2-Clause
/*
 * The VMM's filters: one for the process, and one for each kind of thread that the VM has.
 * All are compiled before any thread is confined; later a thread only loads its own.
 */
#include "host/seccomp.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/config.h"
#include "host/landlock.h"
#include "host/seccomp_filter.h"
#include "host/seccomp_rules.h"
#include "host/terminal.h"

/* Process-wide, like the filter. */
static struct {
	struct seccomp_program of[SECCOMP_THREADS];
	int ruleset; /* of Landlock: no access to the file system */
	bool ready; /* the process has its filter: threads may add theirs */
} threads;

static __thread bool entered;

static int build(const struct vm_config *config, unsigned int mask,
		 struct seccomp_program *program, struct err *err)
{
	const struct seccomp_rules_for wanted = { config, mask };
	const struct seccomp_filter filter = {
		.who = "symvmm",
		.conditional = seccomp_rules_add,
		.arg = &wanted,
	};

	return seccomp_filter_build(&filter, program, err);
}

int seccomp_install(const struct vm_config *config, struct err *err)
{
	static const char *const nothing[] = { NULL };
	unsigned int all = seccomp_rules_threads(config);
	struct seccomp_program process;
	int ret = build(config, all, &process, err);

	for (unsigned int i = 0; i < SECCOMP_THREADS && !ret; i++)
		if (all & 1u << i)
			ret = build(config, 1u << i, &threads.of[i], err);
	/* Keep other processes of our user, and core dumps, away from guest memory. */
	if (!ret && prctl(PR_SET_DUMPABLE, 0))
		ret = err_errno(err, "prctl(PR_SET_DUMPABLE)");
	if (!ret && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		ret = err_errno(err, "prctl(PR_SET_NO_NEW_PRIVS)");
	if (!ret)
		ret = landlock_create(nothing, &threads.ruleset, err);
	if (!ret)
		ret = landlock_enter(threads.ruleset, err);
	if (!ret)
		ret = seccomp_filter_load(&process, true, err);
	seccomp_program_free(&process);
	if (ret)
		return ret;
	__atomic_store_n(&threads.ready, true, __ATOMIC_RELEASE);
	seccomp_enter(SECCOMP_LOOP);
	return 0;
}

void seccomp_enter(enum seccomp_thread who)
{
	struct err err = { 0 };

	if (entered || !__atomic_load_n(&threads.ready, __ATOMIC_ACQUIRE))
		return;
	entered = true;
	/* The loop starts the vCPUs: they inherit its ruleset. */
	if ((who == SECCOMP_LOOP || who == SECCOMP_VCPU ||
	     !landlock_enter(threads.ruleset, &err)) &&
	    !seccomp_filter_load(&threads.of[who], false, &err))
		return;
	terminal_restore();
	err_print(&err);
	_exit(1);
}
