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
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "core/config.h"
#include "host/seccomp_filter.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static const struct seccomp_call allowed[] = {
	/* The event loop and the devices' threads. */
	{ SCMP_SYS(epoll_wait), "event loop" },
	{ SCMP_SYS(epoll_pwait), "event loop" },
	{ SCMP_SYS(epoll_ctl), "event loop: clients come and go" },
	{ SCMP_SYS(poll), "disk and network threads; MSI-X pending bits" },
	{ SCMP_SYS(ppoll), "the same, by newer C libraries" },
	{ SCMP_SYS(timerfd_settime), "timers" },
	{ SCMP_SYS(read), "eventfds, timers, sockets, terminal" },
	{ SCMP_SYS(write), "eventfds, sockets, terminal" },
	{ SCMP_SYS(readv), "network" },
	{ SCMP_SYS(writev), "network, log lines" },
	{ SCMP_SYS(close), "clients that leave; a reset" },
	{ SCMP_SYS(eventfd2), "a reset" },
	{ SCMP_SYS(fcntl), "non-blocking sockets" },
	/* Files. */
	{ SCMP_SYS(pread64), "kernel and initrd at a reset" },
	{ SCMP_SYS(fallocate), "discard; giving back what a window held" },
	{ SCMP_SYS(mincore), "memory metrics" },
	{ SCMP_SYS(ftruncate), "that file at the end" },
	{ SCMP_SYS(fstat), "C library" },
	{ SCMP_SYS(newfstatat), "the same, by newer C libraries" },
	{ SCMP_SYS(lseek), "libelf, C library" },
	/* Sockets: control, console, vsock, the frames of --net user and --net unix. */
	{ SCMP_SYS(accept4), "control, console and vsock clients" },
	{ SCMP_SYS(sendto), "sockets" },
	{ SCMP_SYS(recvfrom), "sockets" },
	{ SCMP_SYS(recvmsg), "control: files that are passed" },
	{ SCMP_SYS(shutdown), "half-closed connections" },
	{ SCMP_SYS(getsockopt), "peer credentials; connection errors" },
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
};

/* What only some VMs need. */
static const struct seccomp_call disk_calls[] = {
	{ SCMP_SYS(preadv), "disk reads" },
	{ SCMP_SYS(pwritev), "disk writes" },
	{ SCMP_SYS(pwrite64), "write-zeroes" },
	{ SCMP_SYS(fdatasync), "disk flush" },
};

static const struct seccomp_call window_calls[] = {
	{ SCMP_SYS(sync_file_range), "reclaim from a window in a file" },
	{ SCMP_SYS(fadvise64), "the same" },
};

static const struct seccomp_call net_process_calls[] = {
	{ SCMP_SYS(waitid), "reaping network processes at the end" },
};

static int allow(scmp_filter_ctx ctx, bool wanted, const struct seccomp_call *calls,
		 unsigned int nr)
{
	int ret = 0;

	for (unsigned int i = 0; wanted && i < nr; i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i].nr, 0);
	return ret;
}

static bool has_net(const struct vm_config *config, enum net_kind kind)
{
	for (unsigned int i = 0; i < config->nr_nets; i++)
		if (config->nets[i].kind == kind)
			return true;
	return false;
}

/* Sockets are made for vsock alone, processes are ended for user-mode networking. */
static int add_configured(scmp_filter_ctx ctx, const struct vm_config *config)
{
	int ret = 0;

	ret |= allow(ctx, config->nr_disks, disk_calls, NR(disk_calls));
	ret |= allow(ctx, config->swapbypass, window_calls, NR(window_calls));
	ret |= allow(ctx, has_net(config, NET_USER), net_process_calls, NR(net_process_calls));
	if (has_net(config, NET_USER))
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(pidfd_send_signal), 1,
					SCMP_A1(SCMP_CMP_EQ, SIGKILL));
	if (has_net(config, NET_TAP)) /* the offloads that the guest's driver accepts */
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
					SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, TUNSETOFFLOAD));
	if (!config->vsock_cid)
		return ret;
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
				SCMP_A1(SCMP_CMP_EQ, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK));
	return ret;
}

/* Calls that are fine with some arguments only. */
static int add_conditional(scmp_filter_ctx ctx, const void *config)
{
	int ret = add_configured(ctx, config);

	for (unsigned int i = 0; i < sizeof(allowed_ioctls) / sizeof(allowed_ioctls[0]); i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
					SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff,
						allowed_ioctls[i].request));
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
	/* The C library looks for what it can do without. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(open), 0);
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(stat), 0);
	return ret;
}

int seccomp_install(const struct vm_config *config, struct err *err)
{
	const struct seccomp_filter filter = {
		.who = "symvmm",
		.calls = allowed,
		.nr_calls = sizeof(allowed) / sizeof(allowed[0]),
		.conditional = add_conditional,
		.arg = config,
	};

	/* Nobody else of our user's may look into guest memory, or have it in a core dump. */
	if (prctl(PR_SET_DUMPABLE, 0))
		return err_errno(err, "prctl(PR_SET_DUMPABLE)");
	return seccomp_filter_load(&filter, err);
}
