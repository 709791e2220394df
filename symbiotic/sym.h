/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the symbiotic interface: what one VM's guest has registered.  symcall/ builds
 * on it.
 */
#ifndef SYM_SYM_H
#define SYM_SYM_H

#include <pthread.h>

#include "sym/host.h"

#define SYM_MAX_HANDLERS 128
#define SYM_HANDLER_HASH 256

#define READ_ONCE(x)	 (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* Contexts of the guest's handlers by number: number << 32 | contexts, 0 is empty. */
struct handler_hash {
	uint64_t slot[SYM_HANDLER_HASH];
};

struct handler_table {
	unsigned int nr;
	struct sym_item_handler handler[SYM_MAX_HANDLERS];
	/* Readers take no lock: a new table is built beside the old one. */
	struct handler_hash hash[2];
	struct handler_hash *current;
};

/* A sequence that stays odd: its value, and since when. */
struct stuck {
	uint32_t sequence;
	uint64_t since_ms; /* 0: not odd */
	bool reported;
};

/* What a vCPU has registered.  Pointers are to guest RAM, which exists as long as the VM. */
struct sym_vcpu {
	uint64_t spy_gpa;
	uint64_t area_gpa;
	struct sym_spy_vcpu *spy;
	struct sym_call_area *area;
	struct sym_call_setup setup; /* the checked copy */
	uint64_t kernel_map; /* sym_kernel_map() when it registered */
	struct stuck stuck;
};

struct sym {
	const struct sym_host_ops *ops;
	void *vm;
	char name[72];
	char uuid[40];
	uint32_t features; /* on offer */
	uint32_t sync_regs;
	uint32_t doorbell_gsi;
	void (*event)(void *arg, const struct sym_event *event);
	void *event_arg;
	const struct sym_hooks *hooks;
	unsigned int nr_vcpus;

	/* Guards registration and what we write into the guest's pages. */
	pthread_mutex_t lock;
	uint64_t cookie;
	uint32_t last_generation;
	uint32_t generation; /* 0: no guest module is registered */
	uint32_t granted;
	uint64_t spy_gpa;
	uint64_t show_gpa;
	uint8_t *spy; /* SYM_SPY_GUEST_SIZE bytes */
	uint8_t *show; /* a page */
	struct stuck stuck;
	struct handler_table handlers;

	/* What is shown to the guest, even if it has no page for it yet. */
	struct shown *shown;
	struct sym_item_pressure pressure;
	bool has_pressure;
	struct sym_item_window window; /* size 0: none */

	struct sym_stats stats;
	uint64_t fault_ms; /* when the last fault was reported */
	unsigned int fault_budget;

	struct calls *calls; /* symcall/ */
	struct sym_vcpu vcpu[]; /* nr_vcpus of them */
};

/*
 * sym_msr_read, sym_msr_write - the guest's access to MSR SYM_MSR_BASE + @index on vCPU
 * @id.  Negative: the guest takes #GP.  A write returns SYM_FORGET_* bits for registrations
 * that it ended; the caller cancels the calls that depended on them.
 */
#define SYM_FORGET_VCPU (1 << 0) /* this vCPU's call area */
#define SYM_FORGET_ALL	(1 << 1)
int sym_msr_read(struct sym *sym, unsigned int id, uint32_t index, uint64_t *value);
int sym_msr_write(struct sym *sym, unsigned int id, uint32_t index, uint64_t value);

/* sym_forget - drop all that is registered.  Lock held. */
void sym_forget(struct sym *sym);

/* sym_read_handlers - read the handlers that the guest's page lists now. */
int sym_read_handlers(struct sym *sym);

/* sym_handler_contexts - of handler @number, without a lock; 0: no such handler. */
uint32_t sym_handler_contexts(const struct sym *sym, uint32_t number);

/* show_update - rewrite the VMM's page.  Lock held. */
void show_update(struct sym *sym);
void show_free(struct sym *sym);

/* sym_emit - send the VMM an event.  No lock held. */
void sym_emit(struct sym *sym, enum sym_event_type type, int vcpu, uint64_t value,
	      const char *text);

/*
 * sym_kernel_map - the physical address in the top-level page table entry by which @sregs maps
 * the kernel's address @gva.  All processes of one kernel share it, and no other kernel has it.
 * 0: not mapped.
 */
uint64_t sym_kernel_map(const struct sym *sym, const struct kvm_sregs *sregs, uint64_t gva,
			uint64_t cr3_user_bits);

/* sym_fault - count a violation by the guest, and send an event at a limited rate. */
void sym_fault(struct sym *sym, int vcpu, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

uint64_t sym_now_ms(void);

static inline void sym_count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

#endif
