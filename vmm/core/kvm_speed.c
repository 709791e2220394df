// SPDX-License-Identifier: BSD-2-Clause
/*
 * How fast this KVM runs kernel code.  Some hosts (nested clouds without nested
 * virtualization) offer a /dev/kvm that interprets ring 0, a thousand times slower
 * than hardware; a Linux guest would appear to hang there.
 */
#include "core/kvm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CODE_GPA    0x1000
#define MEM_SIZE    0x4000
#define NATIVE_MIPS 50.0
#define TURNS	    20000
#define TRIES	    8

/*
 * Real mode, ring 0: two instructions per iteration, ECX iterations, then "out".
 *	1: dec ecx; jnz 1b; out 0x10, al; jmp 1b
 */
static const unsigned char loop_code[] = {
	0x66, 0x49, 0x75, 0xfc, 0xe6, 0x10, 0xeb, 0xf8,
};

struct probe {
	int vm_fd;
	int vcpu_fd;
	unsigned char *mem;
	struct kvm_run *run;
	size_t run_size;
};

static int probe_open(int kvm_fd, struct probe *p, struct err *err)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEM_SIZE };
	struct kvm_sregs sregs;
	int size;

	p->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (p->vm_fd < 0)
		return err_errno(err, "/dev/kvm: KVM_CREATE_VM");
	p->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->mem == MAP_FAILED)
		return err_errno(err, "memory of the speed probe");
	memcpy(p->mem + CODE_GPA, loop_code, sizeof(loop_code));
	region.userspace_addr = (uintptr_t)p->mem;
	if (ioctl(p->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		return err_errno(err, "/dev/kvm: KVM_SET_USER_MEMORY_REGION");
	p->vcpu_fd = ioctl(p->vm_fd, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (p->vcpu_fd < 0 || size < (int)sizeof(*p->run))
		return err_errno(err, "/dev/kvm: KVM_CREATE_VCPU");
	p->run_size = size;
	p->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->vcpu_fd, 0);
	if (p->run == MAP_FAILED)
		return err_errno(err, "/dev/kvm: the vCPU's run page");
	if (ioctl(p->vcpu_fd, KVM_GET_SREGS, &sregs))
		return err_errno(err, "/dev/kvm: KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(p->vcpu_fd, KVM_SET_SREGS, &sregs))
		return err_errno(err, "/dev/kvm: KVM_SET_SREGS");
	return 0;
}

static void probe_close(struct probe *p)
{
	if (p->run != MAP_FAILED)
		munmap(p->run, p->run_size);
	if (p->mem != MAP_FAILED)
		munmap(p->mem, MEM_SIZE);
	if (p->vcpu_fd >= 0)
		close(p->vcpu_fd);
	if (p->vm_fd >= 0)
		close(p->vm_fd);
}

/* probe_run - the seconds that @iterations iterations of the loop take. */
static int probe_run(struct probe *p, uint32_t iterations, double *seconds, struct err *err)
{
	struct kvm_regs regs = { .rip = CODE_GPA, .rflags = 2, .rcx = iterations };
	struct timespec a, b;

	if (ioctl(p->vcpu_fd, KVM_SET_REGS, &regs))
		return err_errno(err, "/dev/kvm: KVM_SET_REGS");
	clock_gettime(CLOCK_MONOTONIC, &a);
	while (ioctl(p->vcpu_fd, KVM_RUN, 0) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return err_errno(err, "/dev/kvm: KVM_RUN");
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (p->run->exit_reason != KVM_EXIT_IO)
		return err_set(err, -EIO, "/dev/kvm: the speed probe ended with exit reason %u",
			       p->run->exit_reason);
	*seconds = (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) / 1e9;
	return 0;
}

int kvm_measure(int kvm_fd, double *mips, struct err *err)
{
	struct probe p = { .vm_fd = -1, .vcpu_fd = -1, .mem = MAP_FAILED, .run = MAP_FAILED };
	double seconds = 0, rate;
	int ret;

	*mips = 0;
	ret = probe_open(kvm_fd, &p, err);
	/*
	 * Take the best of several short runs: on a busy host some may lose the CPU for a
	 * while, but an interpreter is slow in all of them.
	 */
	for (int i = 0; i < TRIES && !ret && *mips < NATIVE_MIPS; i++) {
		ret = probe_run(&p, TURNS, &seconds, err);
		rate = 2.0 * TURNS / (seconds > 1e-9 ? seconds : 1e-9) / 1e6;
		if (rate > *mips)
			*mips = rate;
	}
	probe_close(&p);
	if (ret)
		return ret;
	return *mips < NATIVE_MIPS ? KVM_SPEED_INTERPRETED : KVM_SPEED_NATIVE;
}
