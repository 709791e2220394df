// SPDX-License-Identifier: BSD-2-Clause
/*
 * The parts of a VM, in the order in which they are created: each may use those before it.
 */
#include "control/control.h"
#include "machine/vm.h"

static const struct part *const parts[VM_NR_PARTS] = {
	&part_interface,
	&part_services,
	/* Last: its window lies above all regions that a service has added. */
	&part_swapbypass,
};

static bool is_paused(void *handle)
{
	struct vm *vm = handle;
	bool paused;

	pthread_mutex_lock(&vm->lock);
	paused = vm->state == VM_PAUSED;
	pthread_mutex_unlock(&vm->lock);
	return paused;
}

static void hold(void *handle, const char *why)
{
	vm_hold(handle, why);
}

static void guest_ready(void *handle, uint32_t generation)
{
	struct vm *vm = handle;

	for (unsigned int i = 0; i < VM_NR_PARTS; i++)
		if (vm->parts[i] && parts[i]->guest_ready)
			parts[i]->guest_ready(vm->parts[i], generation);
}

int vm_parts_create(struct vm *vm, struct err *err)
{
	int ret = 0;

	vm->shared.config = vm->config;
	vm->shared.uuid = vm->uuid;
	vm->shared.nr_vcpus = vm->nr_vcpus;
	vm->shared.kvm_fd = vm->kvm_fd;
	vm->shared.board = &vm->board;
	vm->shared.ops = &vm_host_ops;
	vm->shared.handle = vm;
	vm->shared.paused = is_paused;
	vm->shared.hold = hold;
	vm->shared.guest_ready = guest_ready;
	for (unsigned int i = 0; i < VM_NR_PARTS && !ret; i++)
		ret = parts[i]->create(&vm->shared, &vm->parts[i], err);
	return ret;
}

void vm_parts_reset(struct vm *vm)
{
	for (unsigned int i = 0; i < VM_NR_PARTS; i++)
		if (vm->parts[i] && parts[i]->reset)
			parts[i]->reset(vm->parts[i]);
}

void vm_parts_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < VM_NR_PARTS; i++)
		if (vm->parts[i] && parts[i]->stop)
			parts[i]->stop(vm->parts[i]);
	for (unsigned int i = VM_NR_PARTS; i-- > 0; vm->parts[i] = NULL)
		if (vm->parts[i] && parts[i]->destroy)
			parts[i]->destroy(vm->parts[i]);
}

bool vm_parts_exit(struct vm *vm, unsigned int vcpu, struct kvm_run *run, int ret)
{
	for (unsigned int i = 0; i < VM_NR_PARTS; i++)
		if (vm->parts[i] && parts[i]->exit &&
		    parts[i]->exit(vm->parts[i], vcpu, run, ret))
			return true;
	return false;
}

bool vm_parts_bad_page(struct vm *vm)
{
	for (unsigned int i = 0; i < VM_NR_PARTS; i++)
		if (vm->parts[i] && parts[i]->bad_page && parts[i]->bad_page(vm->parts[i]))
			return true;
	return false;
}

void vm_parts_methods(struct vm *vm, struct control_table *tables)
{
	for (unsigned int i = 0; i < VM_NR_PARTS; i++)
		tables[i] = (struct control_table){ parts[i]->methods, vm->parts[i] };
}
