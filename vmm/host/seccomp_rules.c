// SPDX-License-Identifier: BSD-2-Clause
/*
 * The rules.  All files are open when they take effect; what remains is running the guest,
 * moving data, and a reset.  Each call has its reason beside it; one without a reason does
 * not belong here.
 */
#include "host/seccomp_rules.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "core/config.h"
#include "host/seccomp.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))

enum {
	LOOP = 1 << SECCOMP_LOOP,
	VCPU = 1 << SECCOMP_VCPU,
	DISK = 1 << SECCOMP_DISK,
	NET = 1 << SECCOMP_NET,
	VSOCK = 1 << SECCOMP_VSOCK,
	WORKER = 1 << SECCOMP_WORKER,
	ALL = (1 << SECCOMP_THREADS) - 1,
};

struct rule {
	int nr;
	unsigned int who; /* kinds of thread */
	const char *reason;
};

/*
 * The loop starts the vCPUs, also at a reset, and they inherit its filter: it allows all that
 * they need.
 */
static const struct rule rules[] = {
	/* The event loop and the devices' threads. */
	{ SCMP_SYS(epoll_wait), LOOP, "event loop" },
	{ SCMP_SYS(epoll_pwait), LOOP, "event loop" },
	{ SCMP_SYS(epoll_ctl), LOOP | VCPU | WORKER, "event loop: sources come and go" },
	{ SCMP_SYS(poll), ALL, "disk and network threads; MSI-X pending bits" },
	{ SCMP_SYS(ppoll), ALL, "the same, by newer C libraries" },
	{ SCMP_SYS(timerfd_settime), ALL, "timers, those of limited events too" },
	{ SCMP_SYS(read), ALL, "eventfds, timers, sockets, terminal" },
	{ SCMP_SYS(write), ALL, "eventfds, sockets, terminal, log lines" },
	{ SCMP_SYS(writev), ALL, "network, log lines" },
	{ SCMP_SYS(readv), NET, "network" },
	{ SCMP_SYS(close), LOOP | VCPU | NET | VSOCK | WORKER,
	  "clients that leave; connections at a driver's reset" },
	{ SCMP_SYS(eventfd2), LOOP, "a reset" },
	{ SCMP_SYS(fcntl), LOOP | VSOCK, "non-blocking sockets, spare descriptors" },
	/* Files. */
	{ SCMP_SYS(preadv), DISK, "disk reads" },
	{ SCMP_SYS(pwritev), DISK, "disk writes" },
	{ SCMP_SYS(pwrite64), DISK, "write-zeroes" },
	{ SCMP_SYS(io_uring_enter), DISK, "disk requests; the ring is restricted" },
	{ SCMP_SYS(fdatasync), DISK, "disk flush" },
	{ SCMP_SYS(fallocate), LOOP | DISK | WORKER, "discard; freeing pages of a window" },
	{ SCMP_SYS(pread64), LOOP | WORKER, "kernel and initrd at a reset; modules, a window" },
	{ SCMP_SYS(mincore), LOOP | WORKER, "memory metrics, reclaim" },
	{ SCMP_SYS(ftruncate), LOOP, "a console's log, the file of a window at the end" },
	{ SCMP_SYS(landlock_restrict_self), DISK | NET | VSOCK | WORKER,
	  "threads older than the process's domain" },
	{ SCMP_SYS(fstat), ALL, "C library" },
	{ SCMP_SYS(fstatfs), WORKER, "room for a window's file" },
	{ SCMP_SYS(newfstatat), ALL, "the same, by newer C libraries" },
	{ SCMP_SYS(lseek), LOOP | WORKER, "libelf, C library" },
	/* Sockets: control, console, vsock, the frames of --net user and --net unix. */
	{ SCMP_SYS(accept4), LOOP | VSOCK, "control, console and vsock clients" },
	{ SCMP_SYS(sendto), LOOP | NET | VSOCK, "sockets" },
	{ SCMP_SYS(recvfrom), LOOP | NET | VSOCK, "sockets" },
	{ SCMP_SYS(recvmsg), LOOP, "control: files that are passed" },
	{ SCMP_SYS(shutdown), LOOP | VCPU | VSOCK, "half-closed connections" },
	{ SCMP_SYS(getsockopt), LOOP | VSOCK, "peer credentials; connection errors" },
	{ SCMP_SYS(connect), VSOCK, "programs that listen for the guest" },
	/* Memory and threads: the allocator, and vCPU threads at a reset. */
	{ SCMP_SYS(brk), ALL, "malloc" },
	{ SCMP_SYS(munmap), ALL, "free; run pages at a reset" },
	{ SCMP_SYS(mremap), ALL, "realloc" },
	{ SCMP_SYS(madvise), ALL, "malloc, thread stacks, guest memory at a reset, reclaim" },
	{ SCMP_SYS(futex), ALL, "locks" },
	{ SCMP_SYS(set_robust_list), LOOP, "new threads" },
	{ SCMP_SYS(rseq), LOOP, "new threads" },
	{ SCMP_SYS(sched_yield), ALL, "locks" },
	{ SCMP_SYS(exit), ALL, "threads that end" },
	{ SCMP_SYS(exit_group), ALL, "the end" },
	{ SCMP_SYS(waitid), LOOP, "reaping our processes at the end" },
	{ SCMP_SYS(rt_sigaction), ALL, "abort()" },
	{ SCMP_SYS(rt_sigprocmask), ALL, "new threads and those that end, abort()" },
	{ SCMP_SYS(rt_sigreturn), ALL, "the kick signal" },
	{ SCMP_SYS(restart_syscall), ALL, "after a stop and continue" },
	{ SCMP_SYS(getpid), ALL, "abort(), info" },
	{ SCMP_SYS(getpgrp), LOOP, "is the terminal ours after a stop and continue?" },
	{ SCMP_SYS(gettid), ALL, "kicks, abort()" },
	/* Time and randomness. */
	{ SCMP_SYS(clock_gettime), ALL, "clocks without vDSO" },
	{ SCMP_SYS(gettimeofday), ALL, "the same" },
	{ SCMP_SYS(clock_nanosleep), ALL, "short waits: at the end, for locks of a bus" },
	{ SCMP_SYS(nanosleep), ALL, "the same" },
	{ SCMP_SYS(sysinfo), ALL, "qsort() of the C library" },
	{ SCMP_SYS(sched_getaffinity), ALL, "malloc with many threads" },
	{ SCMP_SYS(getrandom), ALL, "the guest's entropy device, hash tables" },
};

static const struct rule window_rules[] = {
	{ SCMP_SYS(sync_file_range), WORKER, "reclaim from a window in a file" },
	{ SCMP_SYS(fadvise64), WORKER, "the same" },
};

/* On KVM's file descriptors, and on terminals. */
static const struct {
	unsigned long request;
	unsigned int who;
	const char *reason;
} ioctl_rules[] = {
	{ KVM_RUN, LOOP | VCPU, "running the guest" },
	{ KVM_KVMCLOCK_CTRL, LOOP | VCPU, "resume after a pause" },
	{ KVM_IRQFD, LOOP | VCPU, "MSI-X vectors" },
	{ KVM_IOEVENTFD, LOOP | VCPU, "doorbells of devices that the guest moves" },
	{ KVM_SET_GSI_ROUTING, LOOP | VCPU, "MSI-X vectors" },
	{ KVM_SET_USER_MEMORY_REGION, LOOP | VCPU | WORKER, "a reset; regions of services" },
	{ KVM_GET_REGS, LOOP | VCPU, "upcalls, error messages" },
	{ KVM_SET_REGS, LOOP | VCPU, "upcalls, a reset" },
	{ KVM_GET_SREGS, LOOP | VCPU, "upcalls, a reset" },
	{ KVM_SET_SREGS, LOOP | VCPU, "upcalls, a reset" },
	{ KVM_GET_VCPU_EVENTS, LOOP | VCPU, "upcalls" },
	{ KVM_SET_VCPU_EVENTS, LOOP | VCPU, "upcalls" },
	{ KVM_GET_MP_STATE, LOOP | VCPU, "upcalls" },
	{ KVM_SET_MP_STATE, LOOP | VCPU, "upcalls" },
	{ KVM_CREATE_VM, LOOP, "a reset" },
	{ KVM_CHECK_EXTENSION, LOOP, "a reset: KVM's limits for guests" },
	{ KVM_ENABLE_CAP, LOOP, "a reset: those limits, the symbiotic MSRs" },
	{ KVM_X86_SET_MSR_FILTER, LOOP, "the same" },
	{ KVM_SET_TSS_ADDR, LOOP, "a reset" },
	{ KVM_SET_IDENTITY_MAP_ADDR, LOOP, "a reset" },
	{ KVM_CREATE_IRQCHIP, LOOP, "a reset" },
	{ KVM_CREATE_PIT2, LOOP, "a reset" },
	{ KVM_CREATE_VCPU, LOOP, "a reset" },
	{ KVM_GET_VCPU_MMAP_SIZE, LOOP, "a reset" },
	{ KVM_SET_CPUID2, LOOP, "a reset" },
	{ KVM_SET_MSRS, LOOP, "a reset" },
	{ KVM_GET_TSC_KHZ, LOOP, "a reset: the command line" },
	{ TCGETS, ALL, "terminal" },
	{ TIOCGPGRP, LOOP, "terminal, after a stop and continue" },
	{ TCSETSW, ALL, "terminal, restored by the thread that exits" },
	{ TCSETS, LOOP, "the same" },
	{ TCSETSF, LOOP, "the same" },
};

static bool has_net(const struct vm_config *config, enum net_kind kind)
{
	for (unsigned int i = 0; i < config->nr_nets; i++)
		if (config->nets[i].kind == kind)
			return true;
	return false;
}

unsigned int seccomp_rules_threads(const struct vm_config *config)
{
	return LOOP | VCPU | WORKER | (config->nr_disks ? DISK : 0) |
	       (config->nr_nets ? NET : 0) | (config->vsock_cid ? VSOCK : 0);
}

static int add(scmp_filter_ctx ctx, const struct rule *rule, unsigned int nr,
	       unsigned int threads)
{
	int ret = 0;

	for (; nr; nr--, rule++)
		if (rule->who & threads)
			ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, rule->nr, 0);
	return ret;
}

static int allow_ioctl(scmp_filter_ctx ctx, unsigned long request)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, request));
}

/* Rules of the loop only, the thread that starts and joins others. */
static int add_of_loop(scmp_filter_ctx ctx, const struct vm_config *config)
{
	int ret = 0;

	/* Threads, but no processes; clone3 hides its flags, so libc must fall back. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* New threads set their names, and take filters of their own. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(seccomp), 1,
				SCMP_A0(SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER));
	if (has_net(config, NET_USER))
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(pidfd_send_signal), 1,
					SCMP_A1(SCMP_CMP_EQ, SIGKILL));
	return ret;
}

/* Calls that any thread may make, with some arguments only. */
static int add_of_all(scmp_filter_ctx ctx)
{
	int ret = 0;

	/* Memory, but never code. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Kicks go to threads of this process. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0(SCMP_CMP_EQ, getpid()));
	/* The C library opens files that it can do without; another process removes our files. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(open), 0);
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(stat), 0);
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(unlink), 0);
	return ret;
}

int seccomp_rules_add(scmp_filter_ctx ctx, const void *arg)
{
	const struct seccomp_rules_for *wanted = arg;
	const struct vm_config *config = wanted->config;
	unsigned int threads = wanted->threads;
	int ret = add(ctx, rules, NR(rules), threads) | add_of_all(ctx);

	for (unsigned int i = 0; i < NR(ioctl_rules); i++)
		if (ioctl_rules[i].who & threads)
			ret |= allow_ioctl(ctx, ioctl_rules[i].request);
	if (config->swapbypass)
		ret |= add(ctx, window_rules, NR(window_rules), threads);
	if (threads & LOOP)
		ret |= add_of_loop(ctx, config);
	/* The vCPU's thread sets the offloads that the guest's driver accepts. */
	if (threads & (LOOP | VCPU) && has_net(config, NET_TAP))
		ret |= allow_ioctl(ctx, TUNSETOFFLOAD);
	if (threads & VSOCK)
		ret |= seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
			SCMP_A1(SCMP_CMP_EQ, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK));
	return ret;
}
