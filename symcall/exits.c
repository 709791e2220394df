// SPDX-License-Identifier: BSD-2-Clause
/*
 * Our own exits (hypercalls and MSRs), and those for which there is a hook.
 */
#include <errno.h>

#include "symcall/calls.h"

static void changed(struct call_vcpu *cv, uint64_t what)
{
	struct sym *sym = cv->sym;

	if (what & ~(uint64_t)(SYM_CHANGED_READY | SYM_CHANGED_HANDLERS | SYM_CHANGED_MODULES))
		return;
	if (what & (SYM_CHANGED_READY | SYM_CHANGED_HANDLERS) && sym_read_handlers(sym))
		return;
	sym_emit(sym, what & SYM_CHANGED_READY ? SYM_EVENT_READY : SYM_EVENT_CHANGED, cv->id,
		 what, "");
}

static int64_t service_call(struct call_vcpu *cv, uint32_t nr, const struct kvm_regs *regs)
{
	const struct sym_hooks *hooks = cv->sym->hooks;
	const uint64_t args[] = { regs->rsi, regs->rdx, regs->r8, regs->r9, regs->r10 };
	int64_t ret;

	if (!hooks || !hooks->hypercall)
		return -ENOSYS;
	cv->at = cv->nested_token ? AT_NONE : AT_HYPERCALL;
	ret = hooks->hypercall(hooks->arg, cv->id, nr, args);
	cv->at = AT_NONE;
	return ret;
}

/* hypercall - true: it was the return of a nested handler. */
static bool hypercall(struct call_vcpu *cv, uint32_t nr)
{
	struct sym *sym = cv->sym;
	struct kvm_regs *regs = regs_get(cv);
	uint64_t cookie = READ_ONCE(sym->cookie);
	int64_t ret = -ENOSYS;

	if (!regs)
		return false;
	if (!cookie || regs->rdi != cookie) {
		sym_count(&sym->stats.refused);
		sym_fault(sym, cv->id, "hypercall %u with a wrong cookie", nr);
		ret = -EPERM;
		goto out;
	}
	switch (nr) {
	case SYM_HC_NOP:
		ret = 0;
		break;
	case SYM_HC_RETURN:
		if (nested_return(cv, regs))
			return true;
		sym_fault(sym, cv->id, "return from a SymCall that is not open");
		ret = -EINVAL;
		break;
	case SYM_HC_COMPLETE:
		ret = -EINVAL;
		if (regs->rsi < sym->nr_vcpus) {
			async_complete(&sym->calls->vcpu[regs->rsi]);
			ret = 0;
		}
		break;
	case SYM_HC_CHANGED:
		changed(cv, regs->rsi);
		ret = 0;
		break;
	default:
		if (nr >= SYM_HC_SERVICE) {
			ret = service_call(cv, nr, regs);
			regs = regs_get(cv); /* a call may have run meanwhile */
		}
	}
	sym_count(ret == -ENOSYS || ret == -EINVAL ? &sym->stats.refused :
						     &sym->stats.hypercalls);
out:
	if (regs) {
		regs->rax = ret;
		regs_put(cv, regs);
	}
	return false;
}

static bool is_hypercall(const struct kvm_run *run)
{
	return run->io.port == SYM_PORT && run->io.direction == KVM_EXIT_IO_OUT &&
	       run->io.size == 4 && run->io.count == 1;
}

/* Cancel the calls that depended on a registration that the guest has just replaced. */
static void forgotten(struct call_vcpu *cv, int what, uint32_t before)
{
	struct sym *sym = cv->sym;

	if (what & SYM_FORGET_ALL) {
		calls_cancel_all(sym);
		if (before)
			sym_emit(sym, SYM_EVENT_GONE, cv->id, before,
				 "the guest's module left, or another one started");
	} else if (what & SYM_FORGET_VCPU) {
		calls_cancel(cv);
	}
	/* From now on KVM stores the registers at each exit of this vCPU, for hypercalls. */
	if (what & SYM_FORGET_VCPU && cv->sym->sync_regs)
		cv->run->kvm_valid_regs = sym->vcpu[cv->id].area ? KVM_SYNC_X86_REGS : 0;
}

static bool msr_exit(struct call_vcpu *cv)
{
	struct kvm_run *run = cv->run;
	uint32_t index = run->msr.index - SYM_MSR_BASE;
	uint32_t before = sym_generation(cv->sym);
	uint64_t value = 0;
	int ret;

	if (index >= SYM_NR_MSRS)
		return false;
	if (run->exit_reason == KVM_EXIT_X86_WRMSR) {
		ret = sym_msr_write(cv->sym, cv->id, index, run->msr.data);
		if (ret > 0)
			forgotten(cv, ret, before);
	} else {
		ret = sym_msr_read(cv->sym, cv->id, index, &value);
		run->msr.data = value;
	}
	run->msr.error = ret < 0;
	return true;
}

static bool hook_exit(struct call_vcpu *cv, struct sym_exit *exit)
{
	const struct sym_hooks *hooks = cv->sym->hooks;
	bool handled;

	cv->exit = exit;
	cv->at = cv->nested_token ? AT_NONE : AT_EXIT;
	handled = hooks->exit(hooks->arg, cv->id, exit);
	handled |= cv->at == AT_EXIT_DONE;
	cv->at = AT_NONE;
	cv->exit = NULL;
	return handled;
}

static bool hooked(const struct sym *sym, enum sym_exit_kind kind)
{
	return sym->hooks && READ_ONCE(sym->hooks->kinds) & 1u << kind;
}

static bool io_exit(struct call_vcpu *cv)
{
	struct kvm_run *run = cv->run;
	struct sym_exit exit = {
		.kind = SYM_EXIT_PIO,
		.write = run->io.direction == KVM_EXIT_IO_OUT,
		.len = run->io.size,
		.count = run->io.count,
		.addr = run->io.port,
		.data = (char *)run + run->io.data_offset,
	};

	return hooked(cv->sym, SYM_EXIT_PIO) && hook_exit(cv, &exit);
}

static bool mmio_exit(struct call_vcpu *cv)
{
	struct kvm_run *run = cv->run;
	struct sym_exit exit = {
		.kind = SYM_EXIT_MMIO,
		.write = run->mmio.is_write,
		.len = run->mmio.len,
		.count = 1,
		.addr = run->mmio.phys_addr,
		.data = run->mmio.data,
	};

	return hooked(cv->sym, SYM_EXIT_MMIO) && hook_exit(cv, &exit);
}

static bool msr_hook(struct call_vcpu *cv)
{
	struct kvm_run *run = cv->run;
	struct sym_exit exit = {
		.kind = SYM_EXIT_MSR,
		.write = run->exit_reason == KVM_EXIT_X86_WRMSR,
		.len = 8,
		.count = 1,
		.addr = run->msr.index,
		.data = &run->msr.data,
	};

	return hooked(cv->sym, SYM_EXIT_MSR) && hook_exit(cv, &exit);
}

/* ours - true: the exit is handled.  @returned is set if it was a nested handler's return. */
static bool ours(struct call_vcpu *cv, bool *returned)
{
	struct kvm_run *run = cv->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (!is_hypercall(run) || !sym_generation(cv->sym))
			return io_exit(cv);
		*returned = hypercall(cv, *(uint32_t *)((char *)run + run->io.data_offset));
		return true;
	case KVM_EXIT_MMIO:
		return mmio_exit(cv);
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		return msr_exit(cv) || msr_hook(cv);
	default:
		return false;
	}
}

bool exit_of_handler(struct call_vcpu *cv)
{
	const struct sym *sym = cv->sym;
	bool returned = false;

	if (!ours(cv, &returned))
		sym->ops->handle_exit(sym->vm, cv->vcpu);
	return returned;
}

bool sym_handle_exit(struct sym *sym, unsigned int id, struct kvm_run *run, int ret)
{
	struct call_vcpu *cv = &sym->calls->vcpu[id];
	bool returned;

	if (id >= sym->nr_vcpus)
		return false;
	if (cv->run != run) { /* the first exit of this boot */
		cv->run = run;
		cv->vcpu = sym->ops->vcpu(sym->vm, id);
	}
	if (ret) {
		if (__atomic_load_n(&cv->kick, __ATOMIC_ACQUIRE))
			nested_kick(cv);
		return false;
	}
	return ours(cv, &returned);
}
