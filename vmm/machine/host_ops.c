// SPDX-License-Identifier: BSD-2-Clause
/*
 * This VMM's implementation of struct sym_host_ops.
 */
#include "sym/host_ops.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "machine/vcpu.h"
#include "machine/vm.h"

static int op_mem_read(void *vm, uint64_t gpa, void *dst, size_t len)
{
	return gmem_read(&((struct vm *)vm)->board.mem, gpa, dst, len);
}

static int op_mem_write(void *vm, uint64_t gpa, const void *src, size_t len)
{
	return gmem_write(&((struct vm *)vm)->board.mem, gpa, src, len);
}

static void *op_mem_map(void *vm, uint64_t gpa, size_t len)
{
	return gmem_map(&((struct vm *)vm)->board.mem, gpa, len);
}

static int op_get_state(void *vm, void *vcpu, struct sym_vcpu_state *state)
{
	int fd = ((struct vcpu *)vcpu)->fd;
	struct kvm_mp_state mp;

	if ((state->what & SYM_STATE_REGS && ioctl(fd, KVM_GET_REGS, state->regs)) ||
	    (state->what & SYM_STATE_SREGS && ioctl(fd, KVM_GET_SREGS, state->sregs)) ||
	    (state->what & SYM_STATE_EVENTS && ioctl(fd, KVM_GET_VCPU_EVENTS, state->events)))
		return -errno;
	if (state->what & SYM_STATE_MP) {
		if (ioctl(fd, KVM_GET_MP_STATE, &mp))
			return -errno;
		state->mp_state = mp.mp_state;
	}
	return 0;
}

static int op_set_state(void *vm, void *vcpu, const struct sym_vcpu_state *state)
{
	struct kvm_mp_state mp = { .mp_state = state->mp_state };
	int fd = ((struct vcpu *)vcpu)->fd;

	if ((state->what & SYM_STATE_REGS && ioctl(fd, KVM_SET_REGS, state->regs)) ||
	    (state->what & SYM_STATE_SREGS && ioctl(fd, KVM_SET_SREGS, state->sregs)) ||
	    (state->what & SYM_STATE_EVENTS && ioctl(fd, KVM_SET_VCPU_EVENTS, state->events)) ||
	    (state->what & SYM_STATE_MP && ioctl(fd, KVM_SET_MP_STATE, &mp)))
		return -errno;
	return 0;
}

static int op_run(void *vm, void *vcpu)
{
	return vcpu_run_once(vcpu);
}

static int op_handle_exit(void *vm, void *vcpu)
{
	vcpu_handle_exit(vcpu);
	return 0;
}

static int op_flush(void *vm, void *vcpu)
{
	return vcpu_flush(vcpu);
}

static int op_kick(void *vm, void *vcpu)
{
	struct vcpu *v = vcpu;

	pthread_mutex_lock(&v->vm->lock);
	if (v->has_thread)
		vcpu_kick(v);
	pthread_mutex_unlock(&v->vm->lock);
	return 0;
}

static int op_region_add(void *vm, uint64_t gpa, uint64_t size, void *host, uint32_t flags)
{
	return gmem_region_add(&((struct vm *)vm)->board.mem, gpa, size, host, flags);
}

static int op_region_del(void *vm, uint64_t gpa)
{
	return gmem_region_del(&((struct vm *)vm)->board.mem, gpa);
}

static int op_doorbell(void *vm)
{
	return eventfd_write(((struct vm *)vm)->doorbell_fd, 1) && errno != EAGAIN ? -errno : 0;
}

static unsigned int op_nr_vcpus(void *vm)
{
	return ((struct vm *)vm)->nr_vcpus;
}

static void *op_vcpu(void *vm, unsigned int id)
{
	return id < op_nr_vcpus(vm) ? ((struct vm *)vm)->vcpus[id] : NULL;
}

const struct sym_host_ops vm_host_ops = {
	.version = SYM_HOST_OPS_VERSION,
	.size = sizeof(struct sym_host_ops),
	.mem_read = op_mem_read,
	.mem_write = op_mem_write,
	.mem_map = op_mem_map,
	.get_state = op_get_state,
	.set_state = op_set_state,
	.run = op_run,
	.handle_exit = op_handle_exit,
	.flush = op_flush,
	.kick = op_kick,
	.region_add = op_region_add,
	.region_del = op_region_del,
	.doorbell = op_doorbell,
	.nr_vcpus = op_nr_vcpus,
	.vcpu = op_vcpu,
};
