// SPDX-License-Identifier: BSD-2-Clause
/*
 * The host's KVM: opening it and its capabilities.
 */
#include "core/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CAP(cap, needed, use)                                                                    \
	{                                                                                        \
		KVM_CAP_##cap, "KVM_CAP_" #cap, needed, use                                      \
	}

const struct kvm_cap kvm_caps[] = {
	CAP(USER_MEMORY, true, "guest memory"),
	CAP(IRQCHIP, true, "interrupt controllers in the kernel"),
	CAP(IRQ_ROUTING, true, "message-signalled interrupts"),
	CAP(IRQFD, true, "interrupts from devices without an ioctl"),
	CAP(IOEVENTFD, true, "virtqueue notifications without an exit"),
	CAP(EXT_CPUID, true, "the guest's CPUID"),
	CAP(MP_STATE, true, "more than one vCPU"),
	CAP(PIT2, true, "the timer of older guests"),
	CAP(SET_TSS_ADDR, true, "real mode on Intel hosts"),
	CAP(IMMEDIATE_EXIT, true, "stopping a vCPU without a race"),
	CAP(TSC_DEADLINE_TIMER, false, "a cheaper guest timer"),
	CAP(KVMCLOCK_CTRL, false, "no lockup warnings in the guest after a pause"),
	CAP(SYNC_REGS, false, "SymCall without register ioctls"),
	CAP(X86_USER_SPACE_MSR, false, "MSRs of the symbiotic interface"),
	CAP(X86_MSR_FILTER, false, "MSRs of the symbiotic interface"),
	CAP(VCPU_EVENTS, false, "interrupting a vCPU anywhere"),
	CAP(X86_BUS_LOCK_EXIT, false, "guests that lock the memory bus are slowed down"),
	CAP(X86_NOTIFY_VMEXIT, false, "a vCPU that cannot be interrupted is noticed"),
	CAP(ADJUST_CLOCK, false, "the guest's clock"),
	CAP(BINARY_STATS_FD, false, "exit statistics"),
	{ 0 },
};

int kvm_open(struct err *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_set(err, -errno,
			       "/dev/kvm: does not exist: this host has no KVM, or its module is "
			       "not loaded (modprobe kvm_amd or kvm_intel)");
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return err_set(
			err, -errno,
			"/dev/kvm: permission denied: run as root or join its group (kvm)");
	if (fd < 0)
		return err_errno(err, "/dev/kvm");
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		close(fd);
		return err_set(err, -ENOTSUP, "/dev/kvm: API version %d, %d is needed", version,
			       KVM_API_VERSION);
	}
	return fd;
}

int kvm_check(int fd, int cap)
{
	int ret = ioctl(fd, KVM_CHECK_EXTENSION, cap);

	return ret > 0 ? ret : 0;
}

int kvm_check_needed(int kvm_fd, struct err *err)
{
	for (const struct kvm_cap *c = kvm_caps; c->name; c++)
		if (c->needed && !kvm_check(kvm_fd, c->cap))
			return err_set(err, -ENOTSUP, "/dev/kvm: %s is missing: needed for %s",
				       c->name, c->use);
	return 0;
}

void kvm_limit(int vm_fd)
{
	struct kvm_enable_cap bus_lock = {
		.cap = KVM_CAP_X86_BUS_LOCK_EXIT,
		.args = { KVM_BUS_LOCK_DETECTION_EXIT },
	};
	struct kvm_enable_cap notify = {
		.cap = KVM_CAP_X86_NOTIFY_VMEXIT,
		/* Window 0, in the upper half: KVM adds the minimum of the hardware. */
		.args = { KVM_X86_NOTIFY_VMEXIT_ENABLED | KVM_X86_NOTIFY_VMEXIT_USER },
	};

	if (kvm_check(vm_fd, KVM_CAP_X86_BUS_LOCK_EXIT) & KVM_BUS_LOCK_DETECTION_EXIT &&
	    ioctl(vm_fd, KVM_ENABLE_CAP, &bus_lock))
		log_warn("/dev/kvm: bus locks are not limited: %s", strerror(errno));
	if (kvm_check(vm_fd, KVM_CAP_X86_NOTIFY_VMEXIT) && ioctl(vm_fd, KVM_ENABLE_CAP, &notify))
		log_warn("/dev/kvm: a stuck vCPU is not reported: %s", strerror(errno));
}
