/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtual machine: its parts, its states and the operations on it.  vm.c builds it,
 * boots the guest and resets it; vcpu.c runs it; the devices are on its buses.
 */
#ifndef VMM_MACHINE_VM_H
#define VMM_MACHINE_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "core/err.h"
#include "devices/board.h"
#include "parts/part.h"

struct control;
struct control_table;
struct kvm_run;
struct loop_source;
struct pm_timer;
struct serial;
struct sym_host_ops;
struct vcpu;
struct vm_config;

#define VM_NR_PARTS 3

enum vm_state {
	VM_STARTING,
	VM_RUNNING,
	VM_PAUSED,
	VM_STOPPED,
};

/* The result of a pause: 0, -ETIMEDOUT, -EINVAL (the VM stops), -ECANCELED (resumed). */
typedef void (*vm_pause_fn)(void *arg, int ret);

/* A pause that waits for the vCPUs (vm_pause.c); loop's thread but for parked_fd. */
struct vm_pause {
	int parked_fd; /* eventfd: the last vCPU has parked */
	struct loop_source *timer;
	vm_pause_fn done; /* NULL: no pause is pending */
	void *arg;
	char held[256]; /* why the VM must not run now, or "" */
	bool by_hold; /* paused because of that alone */
};

struct vm {
	const struct vm_config *config;
	char uuid[37];
	int kvm_fd;
	struct board board; /* board.vm_fd is renewed on reset */
	struct pm_timer *pm_timer;
	struct serial *serial;
	struct control *control;
	struct part_vm shared; /* what the parts see of it */
	void *parts[VM_NR_PARTS]; /* their states; NULL: not in this VM */

	struct vcpu *vcpus[VM_MAX_CPUS];
	unsigned int nr_vcpus;

	/* Non-zero makes every vCPU check the state before it enters the guest. */
	int attention;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	enum vm_state state;
	bool stopping;
	enum vm_stop stop;
	char stop_reason[256];
	unsigned int parked; /* vCPUs waiting while paused */
	struct vm_pause pause;
	unsigned int boots;
	uint64_t started_ns; /* CLOCK_BOOTTIME */

	int stop_fd; /* eventfd: vm->stopping was set */
	int doorbell_fd; /* raises GSI_DOORBELL */
};

const char *vm_state_name(enum vm_state state);
const char *vm_stop_name(enum vm_stop stop);

/* vm_stop_status - symvmm's exit status for @stop. */
int vm_stop_status(enum vm_stop stop);

/*
 * vm_run - build the machine that @config describes, run its guest until it stops for
 * good, and destroy everything again.  Called once, from main().
 * Returns the reason, or -errno with @err set when the guest never ran.
 */
int vm_run(const struct vm_config *config, struct err *err);

/*
 * vm_stop - end this boot for @reason; the first call wins.  Any thread.
 */
void vm_stop(struct vm *vm, enum vm_stop reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * vm_pause_check - 0, -EALREADY, or -EINVAL: not running.
 * vm_pause - after a check that returned 0: park every vCPU.  @done(@arg, result) is called
 * later, from the loop, when all have left the guest or after five seconds (the VM then
 * continues to run).
 * vm_resume - let it run again; 0, -EALREADY, -EINVAL, or -EBUSY: see vm_hold().
 * vm_pause_cancel - the VM stops: end a pending pause.
 * All in the loop's thread.
 */
int vm_pause_init(struct vm *vm, struct err *err);
int vm_pause_check(struct vm *vm);
void vm_pause(struct vm *vm, vm_pause_fn done, void *arg);
int vm_resume(struct vm *vm);
void vm_pause_cancel(struct vm *vm);

/*
 * vm_hold - pause the VM for @why, which only the VMM can end by a call with NULL; it then
 * continues, unless its owner has paused it, too.  While it lasts, call it again now and then: a
 * pause may have timed out.  Loop's thread.
 */
void vm_hold(struct vm *vm, const char *why);

/* vm_kick_all - make every vCPU leave the guest and check the state; vm->lock held. */
void vm_kick_all(struct vm *vm);

/*
 * vm_build, vm_unbuild - create and destroy the machine's memory, buses and devices, at
 * vm_run()'s start and end; vm_connect routes their interrupts to this boot's KVM VM
 * (vm_build.c).
 */
int vm_build(struct vm *vm, struct err *err);
void vm_unbuild(struct vm *vm);
int vm_connect(struct vm *vm, struct err *err);

/* vm_host_ops - this VMM's side of the embedding interface (host_ops.c). */
extern const struct sym_host_ops vm_host_ops;

/* vm_power_button - press the power button; the guest decides what to do.  Any thread. */
int vm_power_button(struct vm *vm);

/*
 * The parts of the VM (vm_parts.c), see parts/part.h.  vm_parts_methods: @tables has
 * VM_NR_PARTS places.
 */
int vm_parts_create(struct vm *vm, struct err *err);
void vm_parts_reset(struct vm *vm);
void vm_parts_destroy(struct vm *vm);
bool vm_parts_exit(struct vm *vm, unsigned int vcpu, struct kvm_run *run, int ret);
bool vm_parts_bad_page(struct vm *vm);
void vm_parts_methods(struct vm *vm, struct control_table *tables);

/* vm_control_start - serve the VM's control socket (vm_methods.c). */
int vm_control_start(struct vm *vm, struct err *err);

#endif
