/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A part is built on the symbiotic interface, or is the interface itself.
 * Each is one struct part, a row of the table in machine/vm_parts.c, which calls them in the
 * order of the table.
 */
#ifndef VMM_PARTS_PART_H
#define VMM_PARTS_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "control/control.h"
#include "core/err.h"
#include "devices/board.h"

struct boot_image;
struct kvm_run;
struct sym;
struct sym_host_ops;
struct vm_config;
struct work;

/* What parts know of their VM. */
struct part_vm {
	const struct vm_config *config;
	const struct boot_image *image; /* kernel and initrd */
	const char *uuid;
	unsigned int nr_vcpus;
	unsigned int phys_bits; /* of guest-physical addresses */
	int kvm_fd;
	struct board *board;

	const struct sym_host_ops *ops; /* the VM for the symbiotic parts */
	void *handle; /* the argument of these */
	bool (*paused)(void *handle); /* any thread */
	/* Pause it for @why; NULL: it may continue.  Loop's thread; see vm_hold(). */
	void (*hold)(void *handle, const char *why);
	/* The guest's symbiotic module has registered: notify all parts.  Any thread. */
	void (*guest_ready)(void *handle, uint32_t generation);

	/* Set by the part interface; NULL with --symbiotic off. */
	struct sym *sym;
	struct work *work; /* for jobs that the loop must not wait for */
};

/*
 * All but create may be NULL.  If create leaves @state NULL, the VM does not have this part
 * and none is called; its control methods exist nevertheless, and get @state.
 */
struct part {
	/* Main thread; the machine is built, no vCPU runs, no filter yet.  -errno with @err. */
	int (*create)(struct part_vm *vm, void **state, struct err *err);

	/* The VM ends, no vCPU runs: end all waits for the guest or for a thread. */
	void (*stop)(void *state);

	/* The guest is reset; no vCPU runs. */
	void (*reset)(void *state);

	/* After all parts have stopped, in reverse order; also after a create that failed. */
	void (*destroy)(void *state);

	/* See guest_ready above. */
	void (*guest_ready)(void *state, uint32_t generation);

	/*
	 * After each KVM_RUN of @vcpu, in its thread; @ret as for sym_handle_exit().
	 * True: the exit is handled.
	 */
	bool (*exit)(void *state, unsigned int vcpu, struct kvm_run *run, int ret);

	/*
	 * In a vCPU's thread: KVM cannot reach a page of the guest.  True: the part pauses or
	 * ends the VM for that.
	 */
	bool (*bad_page)(void *state);

	const struct control_method *methods;
};

extern const struct part part_interface;
extern const struct part part_services;
extern const struct part part_swapbypass;

#endif
