// SPDX-License-Identifier: BSD-2-Clause
/*
 * The system call filter.  Everything that needs opening is open by the time it is
 * installed; what is left is running the guest, moving data, and a reset.  Each call
 * has its reason beside it; one without a reason does not belong here.
 */
#include "host/seccomp.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "host/terminal.h"

static const struct {
	int nr;
	const char *reason;
} allowed[] = {
	/* The event loop and the devices' threads. */
	{ SCMP_SYS(epoll_wait), "event loop" },
	{ SCMP_SYS(epoll_pwait), "event loop" },
	{ SCMP_SYS(epoll_ctl), "event loop: clients come and go" },
	{ SCMP_SYS(poll), "disk threads; libslirp; MSI-X pending bits" },
	{ SCMP_SYS(ppoll), "the same, by newer C libraries" },
	{ SCMP_SYS(timerfd_settime), "timers" },
	{ SCMP_SYS(read), "eventfds, timers, sockets, terminal" },
	{ SCMP_SYS(write), "eventfds, sockets, terminal" },
	{ SCMP_SYS(readv), "network" },
	{ SCMP_SYS(writev), "network, log lines" },
	{ SCMP_SYS(close), "clients that leave; a reset" },
	{ SCMP_SYS(eventfd2), "a reset" },
	{ SCMP_SYS(fcntl), "non-blocking sockets" },
	/* Disks. */
	{ SCMP_SYS(preadv), "disk reads" },
	{ SCMP_SYS(pwritev), "disk writes" },
	{ SCMP_SYS(pread64), "kernel and initrd at a reset" },
	{ SCMP_SYS(pwrite64), "write-zeroes" },
	{ SCMP_SYS(fdatasync), "disk flush" },
	{ SCMP_SYS(fallocate), "discard; giving back what a window held" },
	{ SCMP_SYS(mincore), "memory metrics" },
	{ SCMP_SYS(sync_file_range), "reclaim from a window in a file" },
	{ SCMP_SYS(fadvise64), "the same" },
	{ SCMP_SYS(ftruncate), "that file at the end" },
	{ SCMP_SYS(fstat), "C library" },
	{ SCMP_SYS(newfstatat), "the same, by newer C libraries" },
	{ SCMP_SYS(lseek), "libelf, C library" },
	/* Sockets: control, console, vsock, user-mode network. */
	{ SCMP_SYS(accept4), "control, console and vsock clients" },
	{ SCMP_SYS(accept), "libslirp's port forwarding" },
	{ SCMP_SYS(connect), "libslirp; vsock to the host" },
	{ SCMP_SYS(bind), "libslirp" },
	{ SCMP_SYS(listen), "libslirp" },
	{ SCMP_SYS(sendto), "sockets" },
	{ SCMP_SYS(sendmsg), "sockets" },
	{ SCMP_SYS(recvfrom), "sockets" },
	{ SCMP_SYS(recvmsg), "sockets" },
	{ SCMP_SYS(shutdown), "half-closed connections" },
	{ SCMP_SYS(getsockopt), "peer credentials; connection errors" },
	{ SCMP_SYS(setsockopt), "libslirp" },
	{ SCMP_SYS(getsockname), "libslirp" },
	{ SCMP_SYS(getpeername), "libslirp" },
	/* Memory and threads: the allocator, and vCPU threads at a reset. */
	{ SCMP_SYS(brk), "malloc" },
	{ SCMP_SYS(munmap), "free; run pages at a reset" },
	{ SCMP_SYS(mremap), "realloc" },
	{ SCMP_SYS(madvise), "malloc, thread stacks, guest memory at a reset, reclaim" },
	{ SCMP_SYS(futex), "locks" },
	{ SCMP_SYS(set_robust_list), "new threads" },
	{ SCMP_SYS(rseq), "new threads" },
	{ SCMP_SYS(sched_yield), "locks" },
	{ SCMP_SYS(exit), "threads that end" },
	{ SCMP_SYS(exit_group), "the end" },
	{ SCMP_SYS(rt_sigaction), "abort()" },
	{ SCMP_SYS(rt_sigprocmask), "new threads, abort()" },
	{ SCMP_SYS(rt_sigreturn), "the kick signal" },
	{ SCMP_SYS(restart_syscall), "after a stop and continue" },
	{ SCMP_SYS(getpid), "abort(), info" },
	{ SCMP_SYS(getpgrp), "is the terminal ours after a stop and continue?" },
	{ SCMP_SYS(gettid), "kicks, abort()" },
	{ SCMP_SYS(unlink), "our sockets in the runtime folder, at the end" },
	{ SCMP_SYS(unlinkat), "the same" },
	/* Time and randomness. */
	{ SCMP_SYS(clock_gettime), "where the vDSO cannot" },
	{ SCMP_SYS(gettimeofday), "the same" },
	{ SCMP_SYS(clock_nanosleep), "short waits at the end" },
	{ SCMP_SYS(nanosleep), "the same" },
	{ SCMP_SYS(sysinfo), "qsort() of the C library" },
	{ SCMP_SYS(sched_getaffinity), "malloc with many threads" },
	{ SCMP_SYS(getrandom), "the guest's entropy device, hash tables" },
};

/* The ioctls a running VM needs: on KVM's file descriptors, and on terminals. */
static const struct {
	unsigned long request;
	const char *reason;
} allowed_ioctls[] = {
	{ KVM_RUN, "running the guest" },
	{ KVM_KVMCLOCK_CTRL, "resume after a pause" },
	{ KVM_IRQFD, "MSI-X vectors" },
	{ KVM_IOEVENTFD, "doorbells of devices that the guest moves" },
	{ KVM_SET_GSI_ROUTING, "MSI-X vectors" },
	{ KVM_SET_USER_MEMORY_REGION, "a reset; regions of services" },
	{ KVM_GET_REGS, "upcalls, error messages" },
	{ KVM_SET_REGS, "upcalls, a reset" },
	{ KVM_GET_SREGS, "upcalls, a reset" },
	{ KVM_SET_SREGS, "upcalls, a reset" },
	{ KVM_GET_VCPU_EVENTS, "upcalls" },
	{ KVM_SET_VCPU_EVENTS, "upcalls" },
	{ KVM_GET_MP_STATE, "upcalls" },
	{ KVM_SET_MP_STATE, "upcalls" },
	{ KVM_CREATE_VM, "a reset" },
	{ KVM_CHECK_EXTENSION, "a reset: what limits there are for guests" },
	{ KVM_ENABLE_CAP, "a reset: those limits, the symbiotic MSRs" },
	{ KVM_X86_SET_MSR_FILTER, "the same" },
	{ KVM_SET_TSS_ADDR, "a reset" },
	{ KVM_SET_IDENTITY_MAP_ADDR, "a reset" },
	{ KVM_CREATE_IRQCHIP, "a reset" },
	{ KVM_CREATE_PIT2, "a reset" },
	{ KVM_CREATE_VCPU, "a reset" },
	{ KVM_GET_VCPU_MMAP_SIZE, "a reset" },
	{ KVM_SET_CPUID2, "a reset" },
	{ KVM_SET_MSRS, "a reset" },
	{ KVM_GET_TSC_KHZ, "a reset: the command line" },
	{ TCGETS, "terminal" },
	{ TIOCGPGRP, "terminal, after a stop and continue" },
	{ TCSETSW, "terminal, restored at the end" },
	{ TCSETS, "the same" },
	{ TCSETSF, "the same" },
	{ FIONREAD, "libslirp" },
	{ TUNSETOFFLOAD, "tap: the offloads that the guest's driver accepts" },
};

/* Calls that are fine with some arguments only. */
static int add_conditional(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
	int ret = 0;

	for (unsigned int i = 0; i < sizeof(allowed_ioctls) / sizeof(allowed_ioctls[0]); i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
					SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff,
						allowed_ioctls[i].request));
	/* Sockets for the user-mode network and vsock; nothing raw. */
	for (unsigned int i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
					SCMP_A0(SCMP_CMP_EQ, families[i]));
	/* Memory, but never code. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Threads, but no processes; clone3 hides its flags, so libc must fall back. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* Thread names only. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	/* Kicks go to threads of this process. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0(SCMP_CMP_EQ, getpid()));
	/* libslirp looks for a changed resolv.conf; it may not open it. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(open), 0);
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(stat), 0);
	return ret;
}

/* A thread that breaks the rule says which call it was, then the process dies. */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "symvmm: seccomp: system call %d is not allowed\n",
			 info->si_syscall);

	terminal_restore();
	if (write(STDERR_FILENO, line, n) != n)
		abort(); /* at least a signal tells */
	_exit(1);
}

int seccomp_install(struct err *err)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int ret = 0;

	if (!ctx)
		return err_set(err, -ENOMEM, "seccomp: out of memory");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sigaction(SIGSYS, &sa, NULL)) {
		seccomp_release(ctx);
		return err_errno(err, "seccomp");
	}
	/* Disk threads exist already. */
	ret |= seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (unsigned int i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i].nr, 0);
	ret |= add_conditional(ctx);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	if (ret)
		return err_set(err, ret < 0 ? ret : -EINVAL,
			       "seccomp: the filter could not be installed: %s (--seccomp off runs "
			       "without)", strerror(-ret));
	return 0;
}
