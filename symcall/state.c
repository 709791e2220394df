// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading and writing a vCPU's state.  With KVM_CAP_SYNC_REGS, KVM_RUN stores and loads it in
 * the run page; each part costs time even if it is not used, so between calls only the
 * registers are requested.
 */
#include <errno.h>

#include "symcall/calls.h"

struct kvm_regs *regs_get_slow(struct call_vcpu *cv)
{
	const struct sym *sym = cv->sym;
	struct sym_vcpu_state s = { .what = SYM_STATE_REGS, .regs = &cv->regs_copy };

	/* Written and not loaded by KVM yet; the guest may have unregistered its area. */
	if (cv->run->kvm_dirty_regs & KVM_SYNC_X86_REGS)
		return &cv->run->s.regs.regs;
	return sym->ops->get_state(sym->vm, cv->vcpu, &s) ? NULL : &cv->regs_copy;
}

int regs_put_slow(struct call_vcpu *cv, const struct kvm_regs *regs)
{
	const struct sym *sym = cv->sym;
	struct sym_vcpu_state s = {
		.what = SYM_STATE_REGS,
		.regs = (struct kvm_regs *)regs,
	};

	return sym->ops->set_state(sym->vm, cv->vcpu, &s);
}

/*
 * finish_exit - complete the current exit.  Others may follow: the rest of a string
 * instruction, the second page of an access.
 */
static int finish_exit(struct call_vcpu *cv)
{
	const struct sym *sym = cv->sym;
	int ret;

	while (!(ret = sym->ops->flush(sym->vm, cv->vcpu))) {
		sym->ops->handle_exit(sym->vm, cv->vcpu);
		if (nested_late(cv))
			return -ETIMEDOUT;
	}
	return ret == -EINTR ? 0 : ret;
}

int state_get(struct call_vcpu *cv, struct frame *frame)
{
	const struct sym *sym = cv->sym;
	struct kvm_sync_regs *s = &cv->run->s.regs;
	struct sym_vcpu_state state = {
		.what = SYM_STATE_REGS | SYM_STATE_SREGS | SYM_STATE_EVENTS,
		.regs = &frame->regs,
		.sregs = &frame->sregs,
		.events = &frame->events,
	};
	int ret;

	if (regs_synced(cv))
		cv->run->kvm_valid_regs = SYNC_ALL;
	ret = finish_exit(cv);
	if (regs_synced(cv))
		cv->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	if (ret)
		return ret;
	if (!regs_synced(cv))
		return sym->ops->get_state(sym->vm, cv->vcpu, &state);
	frame->regs = s->regs;
	frame->sregs = s->sregs;
	frame->events = s->events;
	return 0;
}

int state_put(struct call_vcpu *cv, const struct frame *frame)
{
	const struct sym *sym = cv->sym;
	struct kvm_sync_regs *s = &cv->run->s.regs;
	struct sym_vcpu_state state = {
		.what = SYM_STATE_REGS | (frame->sregs_changed ? SYM_STATE_SREGS : 0) |
			(frame->events_changed ? SYM_STATE_EVENTS : 0),
		.regs = (struct kvm_regs *)&frame->regs,
		.sregs = (struct kvm_sregs *)&frame->sregs,
		.events = (struct kvm_vcpu_events *)&frame->events,
	};

	if (!regs_synced(cv))
		return sym->ops->set_state(sym->vm, cv->vcpu, &state);
	s->regs = frame->regs;
	cv->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	if (frame->sregs_changed) {
		s->sregs = frame->sregs;
		cv->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	}
	if (frame->events_changed) {
		s->events = frame->events;
		cv->run->kvm_dirty_regs |= KVM_SYNC_X86_EVENTS;
	}
	return 0;
}
