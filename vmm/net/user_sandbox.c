// SPDX-License-Identifier: BSD-2-Clause
/*
 * The sandbox of user-mode networking: the process may only open connections for the guest,
 * and read the host's resolver configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/landlock.h"
#include "host/seccomp_filter.h"
#include "net/user.h"

#define NOBODY	    65534
#define RESOLV_CONF "/etc/resolv.conf"
/* Most of it are two buffers of 128 KiB for each connection: see user.c. */
#define MEMORY_MAX  (256ull << 20)
#define STDERR_ROOM (64u << 10) /* bytes that it may add to a log file */

/* What libslirp, its C library and our loop need once everything is set up. */
static const struct seccomp_call allowed[] = {
	{ SCMP_SYS(poll), "the loop" },
	{ SCMP_SYS(ppoll), "the same, by newer C libraries" },
	{ SCMP_SYS(dup), "are descriptors short?" },
	{ SCMP_SYS(close), "connections that end" },
	{ SCMP_SYS(read), "resolv.conf" },
	{ SCMP_SYS(write), "lines on stderr" },
	{ SCMP_SYS(writev), "the same" },
	/* Sockets. */
	{ SCMP_SYS(connect), "connections of the guest" },
	{ SCMP_SYS(accept), "forwarded ports" },
	{ SCMP_SYS(sendto), "frames and connections" },
	{ SCMP_SYS(recvfrom), "frames and connections" },
	{ SCMP_SYS(recvmsg), "ICMP errors of UDP sockets" },
	{ SCMP_SYS(shutdown), "half-closed connections" },
	{ SCMP_SYS(getsockname), "libslirp" },
	{ SCMP_SYS(getpeername), "libslirp" },
	{ SCMP_SYS(getsockopt), "the error of a connection" },
	{ SCMP_SYS(fcntl), "non-blocking sockets" },
	/* resolv.conf; openat() is below. */
	{ SCMP_SYS(stat), "did it change?" },
	{ SCMP_SYS(fstat), "C library" },
	{ SCMP_SYS(newfstatat), "the same, by newer C libraries" },
	{ SCMP_SYS(lseek), "C library: closing a file that was not read to its end" },
	/* Memory. */
	{ SCMP_SYS(brk), "malloc" },
	{ SCMP_SYS(munmap), "free" },
	{ SCMP_SYS(mremap), "realloc" },
	{ SCMP_SYS(madvise), "malloc" },
	{ SCMP_SYS(futex), "locks" },
	{ SCMP_SYS(getrandom), "hash tables, malloc" },
	/* Time. */
	{ SCMP_SYS(clock_gettime), "clocks without vDSO" },
	{ SCMP_SYS(gettimeofday), "the same" },
	/* The end. */
	{ SCMP_SYS(exit_group), "the end" },
	{ SCMP_SYS(rt_sigaction), "abort()" },
	{ SCMP_SYS(rt_sigprocmask), "abort()" },
	{ SCMP_SYS(rt_sigreturn), "signal handlers" },
	{ SCMP_SYS(restart_syscall), "after a stop and continue" },
	{ SCMP_SYS(getpid), "abort()" },
	{ SCMP_SYS(gettid), "abort()" },
};

static const struct {
	int level, name;
} allowed_options[] = {
	{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_OOBINLINE }, { IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_IP, IP_TTL },	      { IPPROTO_IP, IP_RECVERR },
};

/* IPv4 only, like the guest's network; everything else is refused. */
static int allow_sockets(scmp_filter_ctx ctx)
{
	static const struct {
		int type, protocol;
	} sockets[] = {
		{ SOCK_STREAM, 0 }, { SOCK_DGRAM, 0 }, { SOCK_DGRAM, IPPROTO_ICMP }, /* echo */
	};
	int ret = 0;

	for (unsigned int i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
					SCMP_A0(SCMP_CMP_EQ, AF_INET),
					SCMP_A1(SCMP_CMP_EQ, sockets[i].type | SOCK_CLOEXEC),
					SCMP_A2(SCMP_CMP_EQ, sockets[i].protocol));
	/*
	 * libslirp tries a raw socket if the host allows no other for ICMP; the C library opens
	 * sockets of other kinds if resolv.conf names an interface.  Both cope with a refusal.
	 */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_NE, AF_INET));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 2,
				SCMP_A0(SCMP_CMP_EQ, AF_INET),
				SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW));
	for (unsigned int i = 0; i < sizeof(allowed_options) / sizeof(allowed_options[0]); i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
					SCMP_A1(SCMP_CMP_EQ, allowed_options[i].level),
					SCMP_A2(SCMP_CMP_EQ, allowed_options[i].name));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
				SCMP_A1(SCMP_CMP_NE, FIONREAD));
	return ret | seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_EQ, FIONREAD));
}

static int add_conditional(scmp_filter_ctx ctx, const void *arg)
{
	const uint64_t writing = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | O_TMPFILE;
	int ret = allow_sockets(ctx);

	/* Reading only; Landlock restricts the files. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0));
	/* Memory, but never code. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* abort() */
	return ret | seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				      SCMP_A0(SCMP_CMP_EQ, getpid()));
}

static int limit(int what, rlim_t value, const char *name, struct err *err)
{
	struct rlimit rl;

	if (getrlimit(what, &rl))
		return err_errno(err, "--net user: %s", name);
	if (rl.rlim_max == RLIM_INFINITY || rl.rlim_max > value)
		rl.rlim_max = value;
	rl.rlim_cur = rl.rlim_max;
	return setrlimit(what, &rl) ? err_errno(err, "--net user: %s", name) : 0;
}

/* Nothing needs root once the forwarded ports are bound. */
static int drop_root(struct err *err)
{
	if (geteuid())
		return 0;
	if (!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
	    !setresuid(NOBODY, NOBODY, NOBODY))
		return 0;
	/* In a user namespace with no other user, root is not the host's root. */
	if (errno == EINVAL || errno == EPERM)
		return 0;
	return err_errno(err, "--net user: user nobody");
}

int user_sandbox_limits(struct err *err)
{
	struct stat st;
	rlim_t file = 0;
	int ret;

	/* stderr may be a file: the limit counts from its start. */
	if (!fstat(STDERR_FILENO, &st) && S_ISREG(st.st_mode))
		file = st.st_size + STDERR_ROOM;
	signal(SIGXFSZ, SIG_IGN);
	ret = limit(RLIMIT_CORE, 0, "RLIMIT_CORE", err);
	if (!ret)
		ret = limit(RLIMIT_FSIZE, file, "RLIMIT_FSIZE", err);
	if (!ret)
		ret = limit(RLIMIT_NOFILE, USER_NET_FILES, "RLIMIT_NOFILE", err);
	if (!ret)
		ret = limit(RLIMIT_DATA, MEMORY_MAX, "RLIMIT_DATA", err);
	if (!ret)
		ret = drop_root(err);
	if (!ret &&
	    (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
		ret = err_errno(err, "--net user: prctl");
	return ret;
}

int user_sandbox_enter(struct err *err)
{
	static const struct seccomp_filter filter = {
		.who = "symvmm-net",
		.calls = allowed,
		.nr_calls = sizeof(allowed) / sizeof(allowed[0]),
		.conditional = add_conditional,
	};
	/* Where resolv.conf is on common systems, and where it is on this one. */
	const char *readable[] = {
		"/etc",
		"/run/systemd/resolve",
		"/run/resolvconf",
		"/run/NetworkManager",
		"/run/connman",
		"/etc",
		NULL,
	};
	char here[PATH_MAX];
	int ruleset, ret;

	if (realpath(RESOLV_CONF, here)) {
		char *slash = strrchr(here, '/');

		if (slash != here)
			*slash = '\0'; /* its folder: the file may be replaced */
		readable[sizeof(readable) / sizeof(readable[0]) - 2] = here;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_errno(err, "prctl(PR_SET_NO_NEW_PRIVS)");
	ret = landlock_create(readable, &ruleset, err);
	if (!ret)
		ret = landlock_enter(ruleset, err);
	if (ruleset >= 0)
		close(ruleset);
	return ret ? ret : seccomp_filter_confine(&filter, err);
}
