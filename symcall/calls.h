/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside SymCall: the calls in flight on each vCPU.
 */
#ifndef SYMCALL_CALLS_H
#define SYMCALL_CALLS_H

#include <linux/kvm.h>
#include <pthread.h>

#include "symbiotic/sym.h"

#define TICK_MS	 5 /* of the clock of deadlines */
#define SYNC_ALL (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS)

/* A vCPU's state as a nested call found it. */
struct frame {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	uint32_t mp_state; /* KVM_MP_STATE_HALTED, or RUNNABLE */
	/* What was changed beside the registers, and must be restored. */
	bool sregs_changed;
	bool events_changed;
};

enum nested_state {
	NESTED_FREE,
	NESTED_CLAIMED, /* by the vCPU's thread, or for a kick */
	NESTED_CLOSED, /* a handler was abandoned: none until the guest registers again */
};

/* The state of the vCPU's exit while a hook runs. */
enum at_exit {
	AT_NONE, /* calls cannot nest here */
	AT_HYPERCALL, /* nothing is pending, registers are in the run page */
	AT_EXIT, /* an exit that is not handled yet */
	AT_EXIT_DONE, /* an exit that is handled and completed */
};

enum slot_state {
	SLOT_FREE,
	SLOT_PENDING,
	SLOT_LOST, /* abandoned, but the guest may still be running it */
};

struct slot {
	enum slot_state state;
	struct sym_call *call;
	uint64_t token;
	uint32_t deadline; /* tick; 0: none */
	uint32_t ring; /* tick at which the doorbell is rung again */
	uint32_t ring_interval; /* ticks from then to the next time */
};

struct call_vcpu {
	struct sym *sym;
	unsigned int id;
	void *vcpu; /* the VMM's handle */
	struct kvm_run *run;
	struct kvm_regs regs_copy; /* without KVM_CAP_SYNC_REGS */

	/* The vCPU's thread only. */
	enum at_exit at;
	struct sym_exit *exit;
	uint32_t nested_number; /* of the current call; never 0 */
	uint64_t nested_token; /* of the running handler; 0: none */
	int32_t nested_status;
	uint32_t nested_reply;
	uint64_t nested_value[SYM_CALL_RESULTS];
	bool cut_short; /* the last handler was stopped before it returned */
	bool timed_out; /* because its deadline had passed */

	/* Any thread, atomic. */
	int nested; /* enum nested_state */
	uint64_t nested_deadline; /* call's number << 32 | tick; 0: none */
	uint32_t expired; /* the number of the last call whose deadline passed */
	int cancelled; /* its registration has ended */
	struct sym_call *kick; /* waits for the vCPU's thread to take it */

	pthread_mutex_t lock; /* guards the slots */
	struct slot slot[SYM_CALL_SLOTS]; /* [0] is not used: nested calls */
};

struct calls {
	uint32_t next_token;

	/* The clock of deadlines (deadline.c). */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	uint32_t tick;
	int asleep;
	bool paused;
	bool quit;

	struct call_vcpu vcpu[]; /* sym->nr_vcpus of them */
};

/* check_call - 0 if @call may be made in @context, or an error (see sym_call()). */
int check_call(struct sym *sym, const struct sym_call *call, uint32_t context);

/*
 * nested_run - run @call's handler on this vCPU, from the state in @cv->at; its thread,
 * with cv->nested claimed.  Returns the status; cv->nested is free or closed afterwards.
 */
int nested_run(struct call_vcpu *cv, struct sym_call *call, uint32_t context);

/* nested_return - the handler's return hypercall; false: no such call. */
bool nested_return(struct call_vcpu *cv, const struct kvm_regs *regs);

/* nested_kick - run the pending kick, if there is one. */
void nested_kick(struct call_vcpu *cv);

/* exit_of_handler - handle an exit that a nested handler made.  True: it returned. */
bool exit_of_handler(struct call_vcpu *cv);

/* async_start - put @call into a free slot and raise the doorbell. */
int async_start(struct call_vcpu *cv, struct sym_call *call, uint32_t context);

/* call_withdraw - remove @call before it runs; false: it has ended, or it runs. */
bool call_withdraw(struct call_vcpu *cv, const struct sym_call *call);

/* async_complete - take the results that the guest has posted for this vCPU. */
void async_complete(struct call_vcpu *cv);

/* async_expire - abandon calls past their deadline at @tick; true: some are still pending. */
bool async_expire(struct call_vcpu *cv, uint32_t tick);

/* calls_cancel - end the calls in flight on a vCPU, or on all, with -ECANCELED. */
void calls_cancel(struct call_vcpu *cv);
void calls_cancel_all(struct sym *sym);

/* call_end - set @status and call @call->done.  No lock held. */
void call_end(struct sym_call *call, int status);

/* copy_reply - copy the reply in @payload, at most as much as @call has room for. */
void copy_reply(struct sym_call *call, const uint8_t *payload, uint32_t len);

/* Registers: in the run page if KVM supports it, otherwise by ioctl; the vCPU's thread. */
struct kvm_regs *regs_get_slow(struct call_vcpu *cv);
int regs_put_slow(struct call_vcpu *cv, const struct kvm_regs *regs);
int state_get(struct call_vcpu *cv, struct frame *frame);
int state_put(struct call_vcpu *cv, const struct frame *frame);

/* deadline_start - start the clock if needed, after a deadline was stored. */
void deadline_start_slow(struct sym *sym);
int deadline_create(struct sym *sym);
void deadline_destroy(struct sym *sym);

/*
 * nested_late - the deadline of the current call has passed.  Calls have numbers, since the
 * clock may report the last one when the next has begun.
 */
static inline bool nested_late(const struct call_vcpu *cv)
{
	return READ_ONCE(cv->expired) == cv->nested_number;
}

/* The following functions are used by every nested call, so they are inline. */

/* token_make - the next token, with the generation in its upper half; 0: no generation. */
static inline uint64_t token_make(struct sym *sym)
{
	uint32_t generation = __atomic_load_n(&sym->generation, __ATOMIC_ACQUIRE);
	uint32_t n = __atomic_add_fetch(&sym->calls->next_token, 1, __ATOMIC_RELAXED);

	return generation ? (uint64_t)generation << 32 | n : 0;
}

static inline bool regs_synced(const struct call_vcpu *cv)
{
	return (cv->sym->sync_regs & SYNC_ALL) == SYNC_ALL;
}

/* The call area was registered in this thread, so since then KVM fills them in. */
static inline struct kvm_regs *regs_get(struct call_vcpu *cv)
{
	if (regs_synced(cv) && cv->run->kvm_valid_regs & KVM_SYNC_X86_REGS)
		return &cv->run->s.regs.regs;
	return regs_get_slow(cv);
}

static inline int regs_put(struct call_vcpu *cv, const struct kvm_regs *regs)
{
	if (!regs_synced(cv))
		return regs_put_slow(cv, regs);
	if (regs != &cv->run->s.regs.regs)
		cv->run->s.regs.regs = *regs;
	cv->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	return 0;
}

/* deadline_tick - the first tick at least @ms from now. */
static inline uint32_t deadline_tick(struct sym *sym, uint32_t ms)
{
	uint32_t now = __atomic_load_n(&sym->calls->tick, __ATOMIC_RELAXED);
	uint32_t tick = now + 2 + (ms ? ms : SYM_CALL_DEADLINE_MS) / TICK_MS;

	return tick ? tick : 1;
}

static inline void deadline_start(struct sym *sym)
{
	if (__atomic_load_n(&sym->calls->asleep, __ATOMIC_SEQ_CST))
		deadline_start_slow(sym);
}

static inline bool tick_passed(uint32_t tick, uint32_t now)
{
	return tick && (int32_t)(now - tick) >= 0;
}

#endif
