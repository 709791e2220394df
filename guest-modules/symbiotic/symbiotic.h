/* SPDX-License-Identifier: GPL-2.0 */
/* Declarations shared by the files of symbiotic.ko. */
#ifndef SYMBIOTIC_H
#define SYMBIOTIC_H

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <symkit/compat.h>
#include <symkit/kernel.h>

/*
 * With these limits everything fits into the guest's page:
 * 32 + 208 + 2 * 72 + 200 + 32 * 72 + 64 * 72 + 64 * 128 < SYM_SPY_GUEST_SIZE
 */
#define SYM_MAX_MODULES	 32
#define SYM_MAX_HANDLERS 64
#define SYM_MAX_VALUES	 64

/* The VMM's properties, from its CPUID leaves and MSRs. */
struct sym_vmm {
	u64 cookie; /* 0: not registered.  The first field, for entry.S */
	u32 msr;
	u32 gsi;
	u32 offered;
	u32 granted;
	u32 generation;
};
extern struct sym_vmm sym_vmm;

/* Guards the lists of handlers, values and modules, and the construction of the page. */
extern struct mutex sym_lock;

/* main.c */
int sym_msr_write(u32 msr, u64 value);

/* A handler's entry in the table; @number 0: free. */
struct sym_handler {
	u32 number;
	u32 contexts;
	sym_handler_fn fn;
	void *arg;
	struct module *owner;
	char name[SYM_NAME_LEN];
};

/* handlers.c */
struct sym_handler *sym_handler_at(u32 number);
void sym_handlers_forget(struct module *owner);
struct module *sym_handler_owner(unsigned int entry);

/* cpu.c: what a CPU has registered. */
#define SYM_STACK_SIZE 16384u

struct sym_slot {
	/*
	 * The handler that this slot runs.  It is set before the table is read, so that
	 * code that clears an entry sees its users; this works where RCU does not.
	 */
	struct sym_handler *running;
	/*
	 * Token of the last request that was started; 0 after a new registration, which
	 * takes @lock: then the payload belongs to the VMM again.
	 */
	u64 taken;
	raw_spinlock_t lock; /* taken by the doorbell's interrupt */
	/* For interrupt and thread context. */
	struct sym_call_request request; /* our copy */
	struct work_struct work;
	bool busy; /* work is queued or running */
	int cpu;
};

struct sym_cpu {
	struct sym_spy_vcpu *page;
	struct sym_call_area *area;
	void *stack;
	u32 vcpu; /* the VMM's number */
	bool calls; /* area is registered */
	u64 nested; /* token of the current nested call, or of the last one */
	call_single_data_t csd; /* makes the CPU check its slots */
	atomic_t called; /* csd is in flight */
	struct sym_slot slot[SYM_CALL_SLOTS];
};
DECLARE_PER_CPU(struct sym_cpu, sym_cpus);

int sym_cpus_start(void);
void sym_cpus_stop(void);
void sym_cpus_free(void);

/* entry.S, dispatch.c */
struct sym_nested;
void sym_nested_entry(void);
void sym_nested_run(struct sym_nested *nested);
int sym_dispatch(struct sym_slot *slot, u32 number, struct sym_upcall *call);

/* wake.c: the VMM can wake the guest by the doorbell while the module is stopped. */
void sym_wake_arm(u32 gsi);
void sym_wake_disarm(void);

/* doorbell.c */
int sym_doorbell_start(u32 gsi);
void sym_doorbell_stop(void);
int sym_doorbell_init(void);
void sym_doorbell_exit(void);

/* spy.c; functions that end in _locked need sym_lock. */
int sym_spy_init(void);
void sym_spy_exit(void);
int sym_spy_start(void);
void sym_spy_stop(void);
void sym_spy_rebuild_locked(void);
void sym_spy_memory_locked(const struct sym_item_memory *memory);
void sym_spy_copy_locked(void *to, const void *from, size_t len);
void sym_changed_locked(u32 what);

/*
 * Add an item to the page under construction: returns its value, zeroed; NULL: page full.
 * sym_spy_copy_locked() can later change a part of it.
 */
void *sym_spy_add(u16 type, size_t len);
void sym_handlers_show(void);
void sym_values_show(void);
void sym_modules_show(void);
void sym_window_state_show(void);

/* memory.c */
void sym_memory_read(struct sym_item_memory *memory);
void sym_memory_start(void);
void sym_memory_stop(void);

/* switch.c */
int sym_switch_start(void);
void sym_switch_stop(void);
void sym_switch_init_page(struct sym_spy_vcpu *page);
void sym_switch_set_page(unsigned int number, struct sym_spy_vcpu *page);

/* host.c */
int sym_host_start(void);
void sym_host_stop(void);
int sym_host_init(void);
void sym_host_exit(void);
int sym_host_vm(struct sym_item_vm *vm);

/* value.c: @owner is a struct module or, with @user, a struct file. */
int sym_value_put(const void *owner, bool user, const char *name, const void *value, size_t len);
int sym_value_drop(const void *owner, bool user, const char *name);
void sym_values_forget(const void *owner);

/* dev.c */
int sym_dev_init(void);
void sym_dev_exit(void);

/* modules.c */
int sym_modules_init(void);
void sym_modules_exit(void);
void sym_modules_expect(pid_t loader);

/*
 * helper.c: like sym_helper_run(), for a program that loads modules of the guest's own; it is
 * killed after @ms (not 0): -ETIMEDOUT.
 */
int sym_helper_load(const char *const *argv, unsigned int ms, char *text, size_t size);

/* transfer.c: a module on its way into the guest. */
int sym_transfer_begin(const char *name, u64 size, u64 hash, u64 *have);
int sym_transfer_data(u64 offset, const void *data, size_t len);
struct file *sym_transfer_file(void);
void sym_transfer_drop(void);

/* symmod.c */
int sym_mod_init(void);
void sym_mod_exit(void);

#endif
