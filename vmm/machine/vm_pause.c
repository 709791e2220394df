// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pausing a VM: every vCPU's thread parks (vcpu.c) and the last one notifies the loop.  The
 * loop never waits for them: its user must be able to stop a VM that cannot be paused.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/loop.h"
#include "host/events.h"
#include "machine/vcpu.h"
#include "machine/vm.h"
#include "sym/host.h"

#define PAUSE_DEADLINE_NS (5 * NS_PER_S)

/* Finish the pending pause; loop's thread. */
static void finish(struct vm *vm, int ret)
{
	vm_pause_fn done = vm->pause.done;

	if (!done)
		return;
	vm->pause.done = NULL;
	loop_arm(vm->pause.timer, 0);
	if (!ret) {
		if (vm->shared.sym)
			sym_pause(vm->shared.sym, true);
		events_emit(vm->board.events, "paused", NULL);
	}
	done(vm->pause.arg, ret);
}

static void on_parked(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	uint64_t count;
	bool parked;

	if (read(vm->pause.parked_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&vm->lock);
	parked = vm->state == VM_PAUSED && vm->parked == vm->nr_vcpus;
	pthread_mutex_unlock(&vm->lock);
	if (parked)
		finish(vm, 0);
}

/* Set the state to running, unless the VM is stopping; lock held. */
static void unpark(struct vm *vm)
{
	vm->state = VM_RUNNING;
	if (!vm->stopping)
		__atomic_store_n(&vm->attention, 0, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&vm->cond);
}

static void on_deadline(void *arg, uint32_t events)
{
	struct vm *vm = arg;

	if (!vm->pause.done)
		return;
	pthread_mutex_lock(&vm->lock);
	unpark(vm);
	pthread_mutex_unlock(&vm->lock);
	finish(vm, -ETIMEDOUT);
}

int vm_pause_check(struct vm *vm)
{
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	if (vm->state == VM_PAUSED)
		ret = -EALREADY;
	else if (vm->state != VM_RUNNING || (vm->stopping && vm->stop != VM_STOP_RESET))
		ret = -EINVAL;
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

void vm_pause(struct vm *vm, vm_pause_fn done, void *arg)
{
	vm->pause.done = done;
	vm->pause.arg = arg;
	loop_arm(vm->pause.timer, PAUSE_DEADLINE_NS);
	pthread_mutex_lock(&vm->lock);
	vm->state = VM_PAUSED;
	__atomic_store_n(&vm->attention, 1, __ATOMIC_SEQ_CST);
	vm_kick_all(vm);
	pthread_mutex_unlock(&vm->lock);
}

int vm_resume(struct vm *vm)
{
	int ret = 0;

	if (vm->pause.held[0])
		return -EBUSY;
	vm->pause.by_hold = false;
	if (vm->shared.sym)
		sym_pause(vm->shared.sym, false);
	pthread_mutex_lock(&vm->lock);
	if (vm->state != VM_PAUSED)
		ret = vm->state == VM_RUNNING ? -EALREADY : -EINVAL;
	else
		unpark(vm);
	pthread_mutex_unlock(&vm->lock);
	if (ret)
		return ret;
	finish(vm, -ECANCELED);
	events_emit(vm->board.events, "resumed", NULL);
	return 0;
}

static void ignore(void *arg, int ret)
{
}

void vm_hold(struct vm *vm, const char *why)
{
	snprintf(vm->pause.held, sizeof(vm->pause.held), "%s", why ? why : "");
	if (why && !vm_pause_check(vm)) {
		vm_pause(vm, ignore, NULL);
		vm->pause.by_hold = true;
	} else if (!why && vm->pause.by_hold) {
		vm_resume(vm);
	}
}

void vm_pause_cancel(struct vm *vm)
{
	finish(vm, -EINVAL);
}

int vm_pause_init(struct vm *vm, struct err *err)
{
	vm->pause.parked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->pause.parked_fd < 0 ||
	    loop_add(vm->board.loop, vm->pause.parked_fd, EPOLLIN, on_parked, vm, NULL) ||
	    loop_add_timer(vm->board.loop, on_deadline, vm, &vm->pause.timer))
		return err_set(err, -ENOMEM, "event loop: out of memory or file descriptors");
	return 0;
}
