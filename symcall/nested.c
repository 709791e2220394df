// SPDX-License-Identifier: BSD-2-Clause
/*
 * A handler nested in whatever the vCPU was doing: its state is saved, the handler runs on
 * a stack of its own up to its return hypercall, and the state is restored.
 *
 * The order matters (all others were seen to fail): complete the exit; save; wake a halted
 * vCPU; set registers and segments, remove an event in the middle of its delivery; run, with
 * other exits handled as usual; restore; let a halted vCPU sleep again.
 */
#include <errno.h>
#include <string.h>

#include "symcall/calls.h"

#define RFLAGS_RESERVED 2 /* all else 0: interrupts off, DF and AC clear */
#define CR0_PE		(1ull << 0)
#define CR0_PG		(1ull << 31)
#define CR4_LA57	(1ull << 12)
#define EFER_LMA	(1ull << 10)

static const struct kvm_segment flat_code = {
	.limit = 0xffffffff,
	.type = 11,
	.present = 1,
	.s = 1,
	.l = 1,
	.g = 1,
};
static const struct kvm_segment flat_data = {
	.limit = 0xffffffff,
	.type = 3,
	.present = 1,
	.s = 1,
	.db = 1,
	.g = 1,
};

/*
 * Is the kernel that registered the one that runs?  After a crash another one runs, with its
 * own page tables, interrupt table and memory.
 */
static bool same_kernel(const struct sym *sym, const struct frame *frame,
			const struct sym_vcpu *vc)
{
	if (frame->sregs.gs.base == vc->setup.gs_base)
		return true; /* another kernel has its CPU's data elsewhere */
	return sym_kernel_map(sym, &frame->sregs, vc->setup.entry, vc->setup.cr3_user_bits) ==
	       vc->kernel_map;
}

/* A guest in real mode or in system management mode runs no kernel that can be called. */
static int check_callable(const struct sym *sym, const struct frame *frame,
			  const struct sym_vcpu *vc)
{
	const struct sym_call_setup *setup = &vc->setup;
	const uint64_t cr0 = CR0_PE | CR0_PG;

	if ((frame->sregs.cr0 & cr0) != cr0 || !(frame->sregs.efer & EFER_LMA) ||
	    frame->events.smi.smm)
		return -EAGAIN;
	/* With a non-canonical address in GS, KVM_RUN would fail. */
	if (!(frame->sregs.cr4 & CR4_LA57) && setup->gs_base >> 47 != 0x1ffff)
		return -EAGAIN;
	if (!same_kernel(sym, frame, vc))
		return -EAGAIN;
	if (frame->mp_state != KVM_MP_STATE_RUNNABLE && frame->mp_state != KVM_MP_STATE_HALTED)
		return -EAGAIN;
	return 0;
}

/* Other registers are unchanged: the handler need not save any, since all are restored. */
static void set_call_regs(struct kvm_regs *regs, const struct sym_call_setup *setup,
			  const struct sym_call *call, uint32_t context, uint64_t token)
{
	regs->rip = setup->entry;
	regs->rsp = setup->stack;
	regs->rflags = RFLAGS_RESERVED;
	regs->rdi = token;
	regs->rsi = call->handler | (uint64_t)context << 32;
	regs->rdx = call->payload_len;
	regs->rcx = call->arg[0];
	regs->r8 = call->arg[1];
	regs->r9 = call->arg[2];
	regs->r10 = call->arg[3];
	regs->r11 = call->arg[4];
	regs->r12 = call->arg[5];
}

/*
 * kernel_segments - change the segments to those that the handler needs; false: no change
 * was needed.  Setting them is expensive, so it is avoided for a vCPU that was in its kernel.
 * GS is checked too: the kernel's entry code runs in ring 0 with the user's.
 */
static bool kernel_segments(struct kvm_sregs *sregs, const struct sym_call_setup *setup)
{
	uint64_t cr3 = sregs->cr3 & ~setup->cr3_user_bits;

	/* Ignore SS: after an interrupt from user mode it is null in the kernel. */
	if (sregs->cs.selector == setup->cs && sregs->cs.l && sregs->gs.base == setup->gs_base &&
	    sregs->cr3 == cr3)
		return false;
	sregs->cs = flat_code;
	sregs->cs.selector = setup->cs;
	sregs->ss = flat_data;
	sregs->ss.selector = setup->ss;
	sregs->gs.base = setup->gs_base;
	sregs->cr3 = cr3;
	return true;
}

/* no_events - remove an event that was being delivered from @events; false: there was none. */
static bool no_events(struct kvm_vcpu_events *events)
{
	if (!events->exception.injected && !events->exception.pending &&
	    !events->interrupt.injected && !events->interrupt.shadow && !events->nmi.injected)
		return false;
	events->exception.injected = events->exception.pending = 0;
	events->interrupt.injected = events->interrupt.shadow = 0;
	events->nmi.injected = 0;
	return true;
}

/*
 * enter_full - enter from any state.  An NMI that becomes pending while the handler runs must
 * not be lost, so neither entering nor leaving sets pending NMIs.
 */
static int enter_full(struct call_vcpu *cv, struct frame *frame, const struct sym_call *call,
		      uint32_t context, uint64_t token)
{
	const struct sym_vcpu *vc = &cv->sym->vcpu[cv->id];
	const struct sym_call_setup *setup = &vc->setup;
	struct frame handler;
	int ret = check_callable(cv->sym, frame, vc);

	if (ret)
		return ret;
	frame->events.flags &= KVM_VCPUEVENT_VALID_SHADOW;
	/* The events have the interrupt that is being delivered. */
	memset(frame->sregs.interrupt_bitmap, 0, sizeof(frame->sregs.interrupt_bitmap));
	handler = *frame;
	frame->sregs_changed = handler.sregs_changed = kernel_segments(&handler.sregs, setup);
	frame->events_changed = handler.events_changed = no_events(&handler.events);
	set_call_regs(&handler.regs, setup, call, context, token);
	if (frame->mp_state == KVM_MP_STATE_HALTED) {
		const struct sym_vcpu_state wake = {
			.what = SYM_STATE_MP,
			.mp_state = KVM_MP_STATE_RUNNABLE,
		};

		ret = cv->sym->ops->set_state(cv->sym->vm, cv->vcpu, &wake);
	}
	return ret ? ret : state_put(cv, &handler);
}

static int leave_full(struct call_vcpu *cv, const struct frame *frame)
{
	const struct sym *sym = cv->sym;
	const struct sym_vcpu_state sleep = {
		.what = SYM_STATE_MP,
		.mp_state = KVM_MP_STATE_HALTED,
	};
	int ret = state_put(cv, frame);

	if (ret || frame->mp_state != KVM_MP_STATE_HALTED)
		return ret;
	/* KVM loads the registers in KVM_RUN; only after that may the vCPU sleep. */
	while (!(ret = sym->ops->flush(sym->vm, cv->vcpu)))
		sym->ops->handle_exit(sym->vm, cv->vcpu);
	return ret == -EINTR ? sym->ops->set_state(sym->vm, cv->vcpu, &sleep) : ret;
}

/* run_handler - run it up to its return; 0, or the reason why it did not return. */
static int run_handler(struct call_vcpu *cv)
{
	const struct sym *sym = cv->sym;

	for (;;) {
		int ret = sym->ops->run(sym->vm, cv->vcpu);

		if (!ret && exit_of_handler(cv))
			return 0;
		if (ret && ret != -EINTR)
			return ret;
		if (READ_ONCE(cv->cancelled) || nested_late(cv)) {
			/*
			 * Complete the exit that was handled before it is dropped: this
			 * one, or the last, if the kick came before the guest ran.
			 */
			while (!(ret = sym->ops->flush(sym->vm, cv->vcpu)))
				sym->ops->handle_exit(sym->vm, cv->vcpu);
			if (ret != -EINTR)
				return ret;
			return READ_ONCE(cv->cancelled) ? -ECANCELED : -ETIMEDOUT;
		}
	}
}

/* abandon - show the guest that this handler will not be continued. */
static void abandon(struct call_vcpu *cv, const struct sym_call *call, uint64_t token)
{
	struct sym *sym = cv->sym;

	cv->timed_out = true;
	pthread_mutex_lock(&sym->lock);
	if (sym->vcpu[cv->id].area && token >> 32 == sym->generation)
		__atomic_store_n(&sym->vcpu[cv->id].area->host.aborted, token, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&sym->lock);
	sym_count(&sym->stats.timeouts);
	sym_emit(sym, SYM_EVENT_TIMEOUT, cv->id, call->handler,
		 "a nested handler did not return; it was abandoned, and SymCall is closed on "
		 "this vCPU");
}

static void take_result(struct call_vcpu *cv, struct sym_call *call,
			const struct sym_call_area *area)
{
	memcpy(call->value, cv->nested_value, sizeof(call->value));
	call->reply_len = 0;
	if (cv->nested_reply)
		copy_reply(call, area->payload[SYM_CALL_NESTED], cv->nested_reply);
}

static int run_to_end(struct call_vcpu *cv, struct sym_call *call, uint64_t token,
		      const struct sym_call_area *area)
{
	int ret;

	cv->nested_token = token;
	ret = run_handler(cv);
	cv->nested_token = 0;
	cv->cut_short = ret != 0;
	if (!ret) {
		take_result(cv, call, area);
		ret = cv->nested_status;
	} else if (ret == -ETIMEDOUT) {
		abandon(cv, call, token);
	}
	return ret;
}

/* wake - a handler that was stopped may have halted the vCPU. */
static int wake(struct call_vcpu *cv)
{
	const struct sym *sym = cv->sym;
	struct sym_vcpu_state mp = { .what = SYM_STATE_MP };
	int ret = sym->ops->get_state(sym->vm, cv->vcpu, &mp);

	if (ret || mp.mp_state != KVM_MP_STATE_HALTED)
		return ret;
	mp.mp_state = KVM_MP_STATE_RUNNABLE;
	return sym->ops->set_state(sym->vm, cv->vcpu, &mp);
}

/* drop_events - drop an event that was being delivered to a handler that was stopped. */
static int drop_events(struct call_vcpu *cv)
{
	const struct sym *sym = cv->sym;
	struct kvm_vcpu_events events;
	struct sym_vcpu_state s = { .what = SYM_STATE_EVENTS, .events = &events };

	if (sym->ops->get_state(sym->vm, cv->vcpu, &s))
		return -EIO;
	events.flags &= KVM_VCPUEVENT_VALID_SHADOW;
	no_events(&events);
	events.nmi.masked = 0;
	return sym->ops->set_state(sym->vm, cv->vcpu, &s);
}

/* From the module's own hypercall: ring 0, its GS, nothing pending.  Registers only. */
static int nest_light(struct call_vcpu *cv, struct sym_call *call, uint32_t context,
		      uint64_t token, const struct sym_call_area *area)
{
	struct kvm_regs *regs = regs_get(cv), saved;
	int ret;

	if (!regs)
		return -EIO;
	saved = *regs;
	set_call_regs(regs, &cv->sym->vcpu[cv->id].setup, call, context, token);
	ret = regs_put(cv, regs);
	if (ret)
		return ret;
	ret = run_to_end(cv, call, token, area);
	if (ret == -ESHUTDOWN)
		return ret;
	if (cv->cut_short && (drop_events(cv) || wake(cv)))
		return -EIO;
	return regs_put(cv, &saved) ? -EIO : ret;
}

static int nest_full(struct call_vcpu *cv, struct sym_call *call, uint32_t context,
		     uint64_t token, const struct sym_call_area *area)
{
	const struct sym *sym = cv->sym;
	struct sym_vcpu_state mp = { .what = SYM_STATE_MP };
	struct frame frame = { .mp_state = KVM_MP_STATE_RUNNABLE };
	int ret, restored;

	ret = state_get(cv, &frame);
	/* HLT does not exit to us: only a kick can find a vCPU halted. */
	if (!ret && context == SYM_CONTEXT_KICK) {
		ret = sym->ops->get_state(sym->vm, cv->vcpu, &mp);
		frame.mp_state = mp.mp_state;
	}
	if (!ret)
		ret = enter_full(cv, &frame, call, context, token);
	if (ret)
		return ret;
	ret = run_to_end(cv, call, token, area);
	if (ret == -ESHUTDOWN)
		return ret;
	if (cv->cut_short) {
		frame.sregs_changed = frame.events_changed = true;
		if (wake(cv))
			return -EIO;
	}
	restored = leave_full(cv, &frame);
	return restored ? restored : ret;
}

int nested_run(struct call_vcpu *cv, struct sym_call *call, uint32_t context)
{
	struct sym *sym = cv->sym;
	struct sym_call_area *area;
	uint64_t token;
	enum at_exit at = cv->at;
	int next = NESTED_FREE, ret;

	/* First: a cancellation after this is for this call. */
	__atomic_store_n(&cv->cancelled, 0, __ATOMIC_SEQ_CST);
	area = __atomic_load_n(&sym->vcpu[cv->id].area, __ATOMIC_SEQ_CST);
	token = token_make(sym);
	if (!area || !token) {
		__atomic_store_n(&cv->nested_deadline, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&cv->nested, NESTED_FREE, __ATOMIC_RELEASE);
		return -ENODEV;
	}
	if (call->payload_len)
		memcpy(area->payload[SYM_CALL_NESTED], call->payload, call->payload_len);
	cv->at = AT_NONE;
	cv->timed_out = false;
	if (!++cv->nested_number)
		cv->nested_number = 1;
	__atomic_store_n(&cv->nested_deadline,
			 (uint64_t)cv->nested_number << 32 |
				 deadline_tick(sym, call->deadline_ms),
			 __ATOMIC_SEQ_CST);
	deadline_start(sym);
	ret = at == AT_HYPERCALL ? nest_light(cv, call, context, token, area) :
				   nest_full(cv, call, context, token, area);
	__atomic_store_n(&cv->nested_deadline, 0, __ATOMIC_RELEASE);
	cv->at = at;
	/* A registration that came while the handler ran opens it again. */
	if (cv->timed_out && !READ_ONCE(cv->cancelled))
		next = NESTED_CLOSED;
	__atomic_store_n(&cv->nested, next, __ATOMIC_RELEASE);
	return ret;
}

bool nested_return(struct call_vcpu *cv, const struct kvm_regs *regs)
{
	if (!cv->nested_token || regs->rsi != cv->nested_token)
		return false;
	cv->nested_status = (int32_t)regs->rdx;
	cv->nested_reply = regs->rdx >> 32;
	cv->nested_value[0] = regs->r8;
	cv->nested_value[1] = regs->r9;
	/* The status must be 0 or a negative errno. */
	if (cv->nested_status > 0 || cv->nested_status < -4095)
		cv->nested_status = -EPROTO;
	return true;
}

void nested_kick(struct call_vcpu *cv)
{
	struct sym_call *call = __atomic_exchange_n(&cv->kick, NULL, __ATOMIC_ACQ_REL);

	if (call)
		call_end(call, nested_run(cv, call, SYM_CONTEXT_KICK));
}
