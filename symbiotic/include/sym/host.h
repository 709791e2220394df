/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The symbiotic interface for a KVM VMM: what the VMM calls (creation, exits, reset),
 * and what services built on it call (reading the guest's pages, calling its handlers).
 * docs/embedding.md describes it step by step.
 *
 * Functions return 0 or a negative errno unless said otherwise.  Any thread may call them
 * unless said otherwise.  Every wait has a deadline.
 */
#ifndef SYM_HOST_H
#define SYM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sym/abi.h"
#include "sym/host_ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Services, which are loaded, call these; other symbols of the library are hidden. */
#pragma GCC visibility push(default)

struct kvm_cpuid2;
struct kvm_run;
struct sym;

#define SYM_MAX_VCPUS 64

/* What happened in the guest's symbiotic half; for the VMM's log and its users. */
enum sym_event_type {
	SYM_EVENT_READY, /* a guest module has completed its registration */
	SYM_EVENT_GONE, /* it left, or the guest was reset */
	SYM_EVENT_CHANGED, /* handlers or modules: @value is SYM_CHANGED_* */
	SYM_EVENT_TIMEOUT, /* a SymCall passed its deadline */
	SYM_EVENT_FAULT, /* the guest violated the interface; @text says how */
};

struct sym_event {
	enum sym_event_type type;
	uint32_t generation;
	int vcpu; /* -1: none in particular */
	uint64_t value;
	const char *text; /* one line, only ASCII; may be "" */
};

struct sym_config {
	size_t size; /* sizeof(struct sym_config) */
	const char *name; /* of the VM; at most 71 characters */
	const char *uuid;
	uint32_t features; /* SYM_FEATURE_* to offer */
	uint32_t doorbell_gsi; /* what ops->doorbell raises */
	uint32_t sync_regs; /* KVM_CHECK_EXTENSION(KVM_CAP_SYNC_REGS); 0: by ioctl */
	/* Any thread, no lock held; must not block.  May be NULL. */
	void (*event)(void *arg, const struct sym_event *event);
	void *arg;
};

/*
 * sym_create - create the interface of one VM, to which @vm refers in calls of @ops (@config
 * and its strings are copied; @ops must stay valid).  @ops->nr_vcpus() is called once: the
 * number cannot change later.  0, -E2BIG if it is 0 or more than SYM_MAX_VCPUS, -EINVAL,
 * -ENOMEM.  sym_destroy: after the vCPU threads have ended.
 */
int sym_create(const struct sym_host_ops *ops, void *vm, const struct sym_config *config,
	       struct sym **out);
void sym_destroy(struct sym *sym);

/*
 * sym_attach - make KVM pass on accesses to our MSRs; for each new KVM VM, before its vCPUs.
 * sym_cpuid - add our leaves to @cpuid, which has room for @max entries (idempotent).
 */
int sym_attach(struct sym *sym, int vm_fd);
int sym_cpuid(struct sym *sym, struct kvm_cpuid2 *cpuid, unsigned int max);

/*
 * sym_reset - forget all that the guest registered.  Call it while no vCPU runs, before guest
 * memory is changed.  Calls in flight end with -ECANCELED.
 */
void sym_reset(struct sym *sym);

/* sym_pause - stop and restart the clock of deadlines, around a pause of the VM. */
void sym_pause(struct sym *sym, bool paused);

/*
 * sym_handle_exit - first in the exit loop: after each KVM_RUN of vCPU @id, in its
 * thread, with its run page and @ret 0 for an exit or -EINTR.  True: the exit is handled,
 * including the VMM's own part; continue with the next KVM_RUN.  False: the VMM handles
 * it as usual (nothing to do after -EINTR), also if there is no vCPU @id.
 */
bool sym_handle_exit(struct sym *sym, unsigned int id, struct kvm_run *run, int ret);

/* Reading the guest's pages: from any thread, without an exit. */

/* sym_generation - of the guest's registration; 0: not registered. */
uint32_t sym_generation(const struct sym *sym);
/* sym_granted - the features that both sides agreed on. */
uint32_t sym_granted(const struct sym *sym);
/* sym_nr_vcpus - of the VM. */
unsigned int sym_nr_vcpus(const struct sym *sym);

/*
 * sym_spy_task - what vCPU @id runs.  -ENODEV: not registered; -EAGAIN: the guest kept
 * writing; -EPROTO: the page is not valid.
 */
int sym_spy_task(struct sym *sym, unsigned int id, struct sym_item_task *task);

/*
 * sym_spy_read - copy the guest's page to @buf, which has SYM_SPY_GUEST_SIZE bytes, and
 * check it.  Errors as above.  sym_spy_next() then returns its items one by one: @item is
 * the last one, NULL for the first.  The value is SYM_ITEM_ALIGN()ed and inside @buf, but
 * its text may lack a NUL, and len may be short.
 */
int sym_spy_read(struct sym *sym, void *buf);
const struct sym_item *sym_spy_next(const void *buf, const struct sym_item *item);

/*
 * sym_spy_get - copy the first item of @type to @value, @size bytes, zero beyond its
 * length.  Errors as above, and -ENOENT.
 */
int sym_spy_get(struct sym *sym, uint16_t type, void *value, size_t size);

/* Showing the guest something: a value of at most SYM_VALUE_MAX bytes; len 0 removes it. */
int sym_show(struct sym *sym, const char *name, const void *value, size_t len);
int sym_show_pressure(struct sym *sym, const struct sym_item_pressure *pressure);
/* sym_show_window - the memory that is lent for SwapBypass; NULL removes it. */
void sym_show_window(struct sym *sym, const struct sym_item_window *window);

/* Calling the guest. */

/* sym_handler_find - number and contexts of the handler @name.  -ENOSYS: no such handler. */
int sym_handler_find(struct sym *sym, const char *name, struct sym_item_handler *handler);

#define SYM_CALL_DEADLINE_MS 1000u /* the default */

/* One upcall; set unused fields to zero. */
struct sym_call {
	uint32_t handler; /* number */
	uint32_t context; /* one SYM_CONTEXT_*; 0: interrupt or thread, as it was registered */
	uint64_t arg[SYM_CALL_ARGS];
	const void *payload; /* at most SYM_CALL_PAYLOAD bytes, copied */
	uint32_t payload_len;
	uint32_t deadline_ms;
	/* The answer. */
	int status; /* 0 or a negative errno: the handler's own, or as below */
	uint64_t value[SYM_CALL_RESULTS];
	uint8_t *reply; /* may be NULL; room for reply_max bytes */
	uint32_t reply_max;
	uint32_t reply_len;
	/* For sym_call_async(). */
	void (*done)(void *arg, struct sym_call *call);
	void *arg_done;
};

/*
 * sym_call - call a handler nested in the current exit, and return when it has ended.
 * Only from an exit hook, in the thread of vCPU @id; handlers of SYM_CONTEXT_EXIT.
 * The exit is completed first, so its data can no longer be changed.
 *
 * Returns the status: what the handler returned, or
 *	-ENODEV		no guest module, or this vCPU is not registered
 *	-ENOSYS		no such handler
 *	-EPERM		the handler may not be called in this context
 *	-EBUSY		another call is in progress there
 *	-ETIMEDOUT	its deadline passed; the call was abandoned
 *	-ESHUTDOWN	SymCall is closed on this vCPU, after a time-out; or the VM stops
 *	-EAGAIN		the vCPU is in a state from which it cannot be called (not in 64-bit
 *			mode, in system management mode)
 *	-EINVAL		no such vCPU
 *	-ECANCELED	the guest was reset, or its module left
 */
int sym_call(struct sym *sym, unsigned int id, struct sym_call *call);

/*
 * sym_call_async - start a call on vCPU @id in interrupt, thread or kick context.  After an
 * error it has not started, and @done is not called.  Otherwise @done is called once, in
 * any thread, with no lock held; @call must stay valid until then.
 * sym_call_wait - the same, and wait; not from a vCPU's thread.
 */
int sym_call_async(struct sym *sym, unsigned int id, struct sym_call *call);
int sym_call_wait(struct sym *sym, unsigned int id, struct sym_call *call);

/*
 * sym_call_by_name - sym_call_wait() of the handler @name in thread context, on the first
 * vCPU from *@id on that takes the call; *@id is set to it.  It retries for a second if the
 * guest is busy or cannot be called.  @call->deadline_ms covers all tries.
 * sym_call_strerror - describe a status that does not come from the handler; NULL: it may.
 */
int sym_call_by_name(struct sym *sym, const char *name, unsigned int *id, struct sym_call *call);
const char *sym_call_strerror(int code);

/* Hooks on exits: one set per VM, used by the service layer. */

enum sym_exit_kind {
	SYM_EXIT_PIO,
	SYM_EXIT_MMIO,
	SYM_EXIT_MSR,
	SYM_NR_EXIT_KINDS,
};

struct sym_exit {
	enum sym_exit_kind kind;
	bool write;
	uint8_t len; /* bytes of one access: 1, 2, 4, 8 */
	uint32_t count; /* accesses, of a string instruction; else 1 */
	uint64_t addr; /* port, GPA or MSR */
	void *data; /* written, or to be read; not valid after sym_call() */
	bool handled; /* set it before a sym_call() if the hook handles the exit itself */
};

#define SYM_MAX_MSR_RANGES 15
#define SYM_MAX_MSRS	   256 /* in one range */

struct sym_msr_range {
	uint32_t first;
	uint32_t nr;
};

struct sym_hooks {
	/*
	 * An exit of @kinds, before the VMM handles it; the vCPU's thread.  True: it is
	 * handled (read data filled in).
	 */
	bool (*exit)(void *arg, unsigned int id, struct sym_exit *exit);
	/* Hypercall @nr >= SYM_HC_SERVICE with five arguments; returns the guest's result. */
	int64_t (*hypercall)(void *arg, unsigned int id, uint32_t nr, const uint64_t *args);
	void *arg;
	uint32_t kinds; /* bits of 1 << enum sym_exit_kind */
	/* The MSRs whose accesses should exit; used by the next sym_attach(). */
	struct sym_msr_range msr[SYM_MAX_MSR_RANGES];
	unsigned int nr_msr;
};

/*
 * sym_set_hooks - at set-up, before the first vCPU runs; @hooks must stay valid.  Its @kinds
 * may change at any time.
 */
void sym_set_hooks(struct sym *sym, const struct sym_hooks *hooks);

/* Counters since the creation, for metrics. */
struct sym_stats {
	uint64_t hypercalls; /* valid ones */
	uint64_t refused; /* hypercalls with a wrong cookie, number or return */
	uint64_t calls[4]; /* by context: exit, interrupt, kick, thread */
	uint64_t timeouts;
	uint64_t busy; /* refused with -EBUSY */
	uint64_t faults; /* violations by the guest */
	uint64_t registrations;
};

void sym_get_stats(struct sym *sym, struct sym_stats *stats);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
