/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that the symbiotic parts need from the VMM that embeds them, and all
 * that they know of it.  Another KVM VMM fills in this table for its own types.  All
 * functions return 0 or -errno unless said otherwise; @vm and @vcpu are the VMM's own
 * handles, passed through.
 */
#ifndef SYM_HOST_OPS_H
#define SYM_HOST_OPS_H

#include <stddef.h>
#include <stdint.h>

struct kvm_regs;
struct kvm_sregs;
struct kvm_vcpu_events;

#define SYM_HOST_OPS_VERSION 1

/* Parts of a vCPU's state, for get_state and set_state. */
struct sym_vcpu_state {
	uint32_t what; /* SYM_STATE_*: which of the parts below are used */
	struct kvm_regs *regs;
	struct kvm_sregs *sregs;
	struct kvm_vcpu_events *events;
	uint32_t mp_state; /* KVM_MP_STATE_* */
};

#define SYM_STATE_REGS	 (1u << 0)
#define SYM_STATE_SREGS	 (1u << 1)
#define SYM_STATE_EVENTS (1u << 2)
#define SYM_STATE_MP	 (1u << 3)

struct sym_host_ops {
	uint32_t version; /* SYM_HOST_OPS_VERSION */
	uint32_t size; /* of this struct, as the VMM was compiled */

	/*
	 * Copy guest memory, any thread.  -EFAULT unless the whole range is RAM;
	 * then nothing was copied.
	 */
	int (*mem_read)(void *vm, uint64_t gpa, void *dst, size_t len);
	int (*mem_write)(void *vm, uint64_t gpa, const void *src, size_t len);

	/* Host address of a range of RAM, or NULL; valid as long as the VM exists. */
	void *(*mem_map)(void *vm, uint64_t gpa, size_t len);

	/* The vCPU's state.  Only in the thread that runs it, outside the guest. */
	int (*get_state)(void *vm, void *vcpu, struct sym_vcpu_state *state);
	int (*set_state)(void *vm, void *vcpu, const struct sym_vcpu_state *state);

	/*
	 * Run the vCPU up to its next exit (KVM_RUN once), and let the VMM handle it
	 * as usual.  Its own thread only.  -EINTR after a kick, -ESHUTDOWN when the
	 * VM is stopping.
	 */
	int (*run)(void *vm, void *vcpu);
	int (*handle_exit)(void *vm, void *vcpu);

	/*
	 * Complete the current exit without running the guest: KVM_RUN once with
	 * immediate_exit set.  -EINTR: done; 0: it was one of several accesses, and
	 * the next must be handled.  Its own thread only.
	 */
	int (*flush)(void *vm, void *vcpu);

	/*
	 * Make the current run(), or the next one, return -EINTR.  Any thread; no kick
	 * may be lost, and a kick of a vCPU without a thread is ignored.
	 */
	int (*kick)(void *vm, void *vcpu);

	/* Map @size bytes at @host at the guest's @gpa, outside RAM; remove them. */
	int (*region_add)(void *vm, uint64_t gpa, uint64_t size, void *host, uint32_t flags);
	int (*region_del)(void *vm, uint64_t gpa);

	/* Raise the doorbell interrupt, any thread. */
	int (*doorbell)(void *vm);

	/* The number of vCPUs, and the handle of vCPU @id or NULL. */
	unsigned int (*nr_vcpus)(void *vm);
	void *(*vcpu)(void *vm, unsigned int id);
};

#endif
