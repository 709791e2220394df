// SPDX-License-Identifier: BSD-2-Clause
#include "machine.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/kvm.h"
#include "core/layout.h"
#include "machine/cpuid.h"

#define PML4_GPA	0x2000
#define PDPT_GPA	0x3000
#define OTHER_GPA	0x90000 /* another kernel's PML4, and its PDPT */
#define PD_GPA		0x4000
#define PTE_KERNEL_USER 7 /* present, writable, user */
#define PTE_LARGE	0x80

static struct bus_region done_port = { .base = DONE_PORT, .len = 1 };

static void on_done(void *arg, uint64_t offset, uint8_t *data, unsigned int len, bool is_write)
{
	((struct machine *)arg)->done = true;
}

/* This VMM's ops, with a count of the ioctls. */

static int counted_get(void *vm, void *vcpu, struct sym_vcpu_state *state)
{
	struct machine *m = vm; /* its first member */

	m->ioctls++;
	return vm_host_ops.get_state(vm, vcpu, state);
}

static int counted_set(void *vm, void *vcpu, const struct sym_vcpu_state *state)
{
	struct machine *m = vm;

	m->ioctls++;
	return vm_host_ops.set_state(vm, vcpu, state);
}

static struct sym_host_ops ops;

static void on_event(void *arg, const struct sym_event *event)
{
	struct machine *m = arg;

	m->last = *event;
	snprintf(m->text, sizeof(m->text), "%s", event->text);
	m->events++;
}

void *machine_mem(struct machine *m, uint64_t gpa)
{
	return gmem_map(&m->vm.board.mem, gpa, 1);
}

static void make_page_tables(struct machine *m)
{
	uint64_t *pml4 = machine_mem(m, PML4_GPA), *pdpt = machine_mem(m, PDPT_GPA),
		 *pd = machine_mem(m, PD_GPA);

	pml4[0] = pml4[256] = PDPT_GPA | PTE_KERNEL_USER;
	pdpt[0] = PD_GPA | PTE_KERNEL_USER;
	for (uint64_t i = 0; i < 32; i++)
		pd[i] = i << 21 | PTE_LARGE | PTE_KERNEL_USER;
}

void machine_other_kernel(struct machine *m)
{
	uint64_t *pml4 = machine_mem(m, OTHER_GPA);

	memcpy(pml4, machine_mem(m, PML4_GPA), SYM_PAGE_SIZE);
	memcpy(machine_mem(m, OTHER_GPA + SYM_PAGE_SIZE), machine_mem(m, PDPT_GPA),
	       SYM_PAGE_SIZE);
	pml4[256] = (OTHER_GPA + SYM_PAGE_SIZE) | PTE_KERNEL_USER;
	m->cr3 = OTHER_GPA;
}

static int create_sym(struct machine *m)
{
	const struct sym_config config = {
		.size = sizeof(config),
		.name = "tiny",
		.uuid = "none",
		.features = SYM_FEATURE_SPY | SYM_FEATURE_CALL | SYM_FEATURE_DOORBELL,
		.doorbell_gsi = 17,
		.sync_regs = getenv("SYM_NO_SYNC_REGS") ?
				     0 :
				     kvm_check(m->vm.kvm_fd, KVM_CAP_SYNC_REGS),
		.event = on_event,
		.arg = m,
	};

	ops = vm_host_ops;
	ops.get_state = counted_get;
	ops.set_state = counted_set;
	if (sym_create(&ops, &m->vm, &config, &m->sym) || sym_attach(m->sym, m->vm.board.vm_fd))
		return -1;
	m->vm.shared.sym = m->sym;
	return 0;
}

int machine_create(struct machine *m)
{
	struct kvm_cpuid2 *cpuid;
	struct err err = { 0 };
	int ret;

	*m = (struct machine){
		.vm = { .kvm_fd = -1, .board.vm_fd = -1, .nr_vcpus = 1, .state = VM_RUNNING }
	};
	m->vm.kvm_fd = kvm_open(&err);
	pthread_mutex_init(&m->vm.lock, NULL);
	pthread_cond_init(&m->vm.cond, NULL);
	bus_init(&m->vm.board.pio);
	bus_init(&m->vm.board.mmio);
	done_port.fn = on_done;
	done_port.arg = m;
	bus_add(&m->vm.board.pio, &done_port);
	m->vm.doorbell_fd = eventfd(0, EFD_NONBLOCK);
	m->vm.stop_fd = eventfd(0, EFD_NONBLOCK);
	m->vm.board.vm_fd = ioctl(m->vm.kvm_fd, KVM_CREATE_VM, 0);
	cpuid = cpuid_get(m->vm.kvm_fd, &err);
	if (!cpuid || gmem_create(&m->vm.board.mem, 64 * MiB, &err) ||
	    gmem_bind(&m->vm.board.mem, m->vm.board.vm_fd, &err) || create_sym(m))
		return -1;
	ret = sym_cpuid(m->sym, cpuid, CPUID_MAX) || vcpu_create(&m->vm, 0, cpuid, &err) ||
	      vcpu_signal_init(&err);
	free(cpuid);
	if (ret)
		return -1;
	m->vm.vcpus[0]->thread = pthread_self();
	m->vm.vcpus[0]->has_thread = true;
	make_page_tables(m);
	m->cr3 = PML4_GPA;
	memcpy(machine_mem(m, CODE_GPA), guest_start, guest_end - guest_start);
	return 0;
}

void machine_destroy(struct machine *m)
{
	struct vcpu *vcpu = m->vm.vcpus[0];

	vcpu->has_thread = false; /* it is our own */
	vcpu_destroy(vcpu);
	sym_destroy(m->sym);
	free(vcpu->exits);
	free(vcpu);
	gmem_destroy(&m->vm.board.mem);
	bus_destroy(&m->vm.board.pio);
	bus_destroy(&m->vm.board.mmio);
	close(m->vm.board.vm_fd);
	close(m->vm.kvm_fd);
	close(m->vm.doorbell_fd);
	close(m->vm.stop_fd);
}

static void set_segment(struct kvm_segment *s, uint16_t selector, int ring, bool code)
{
	*s = (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector | ring,
		.type = code ? 11 : 3,
		.present = 1,
		.dpl = ring,
		.s = 1,
		.l = code,
		.db = !code,
		.g = 1,
	};
}

void machine_set(struct machine *m, const char *entry, int ring, struct kvm_regs *regs)
{
	static struct kvm_vcpu_events none;
	struct vcpu *vcpu = m->vm.vcpus[0];
	struct kvm_sregs sregs;
	struct sym_vcpu_state s = {
		.what = SYM_STATE_REGS | SYM_STATE_SREGS | SYM_STATE_EVENTS,
		.regs = regs,
		.sregs = &sregs,
		.events = &none,
	};

	vcpu_flush(vcpu); /* nothing of the last run is left to complete */
	ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);
	set_segment(&sregs.cs, 0x10, ring, true);
	set_segment(&sregs.ss, 0x18, ring, false);
	sregs.ds = sregs.es = sregs.ss;
	sregs.gs.base = ring ? 0x1234 : HIGH + 0x8000;
	sregs.fs.base = 0x4321;
	sregs.cr3 = m->cr3;
	sregs.cr4 = 1 << 5;
	sregs.efer = 0x500;
	sregs.cr0 = 0x80050033;
	/* User mode stays in the lower half, as programs do. */
	regs->rip = (ring ? 0 : HIGH) + CODE_GPA + (entry - guest_start);
	regs->rsp = (ring ? 0 : HIGH) + STACK_GPA;
	regs->rflags |= 2;
	if (ring)
		regs->rflags |= 3 << 12; /* IOPL */
	vm_host_ops.set_state(&m->vm, vcpu, &s);
	vcpu->run->kvm_dirty_regs = 0;
}

void machine_get(struct machine *m, struct kvm_regs *regs, struct kvm_sregs *sregs)
{
	struct vcpu *vcpu = m->vm.vcpus[0];

	vcpu_flush(vcpu);
	ioctl(vcpu->fd, KVM_GET_REGS, regs);
	ioctl(vcpu->fd, KVM_GET_SREGS, sregs);
}

int machine_run(struct machine *m)
{
	struct vcpu *vcpu = m->vm.vcpus[0];

	m->done = false;
	while (!m->done) {
		int ret = vcpu_run_once(vcpu);

		if (ret == -ESHUTDOWN) {
			fprintf(stderr, "the guest stopped: %s\n", m->vm.stop_reason);
			return ret;
		}
		if (sym_handle_exit(m->sym, 0, vcpu->run, ret))
			continue;
		if (!ret)
			vcpu_handle_exit(vcpu);
	}
	return 0;
}

int machine_wrmsr(struct machine *m, uint32_t index, uint64_t value)
{
	struct kvm_regs regs = {
		.rcx = SYM_MSR_BASE + index,
		.rax = (uint32_t)value,
		.rdx = value >> 32,
	};
	struct vcpu *vcpu = m->vm.vcpus[0];

	machine_set(m, guest_wrmsr, 0, &regs);
	if (vcpu_run_once(vcpu) || vcpu->run->exit_reason != KVM_EXIT_X86_WRMSR ||
	    !sym_handle_exit(m->sym, 0, vcpu->run, 0))
		return -2;
	if (vcpu->run->msr.error)
		return -1; /* the guest, without an IDT, would not survive its #GP */
	return machine_run(m);
}

int64_t machine_hypercall(struct machine *m, uint64_t cookie, uint32_t nr, uint64_t arg)
{
	struct kvm_regs regs = { .rax = nr, .rdi = cookie, .rsi = arg };
	struct kvm_sregs sregs;

	machine_set(m, guest_hypercall, 0, &regs);
	if (machine_run(m))
		return -ENOTRECOVERABLE;
	machine_get(m, &regs, &sregs);
	return regs.rax;
}

static char *add_item(char *at, uint16_t type, const void *value, uint32_t len)
{
	struct sym_item item = { .type = type, .len = len };

	memcpy(at, &item, sizeof(item));
	memcpy(at + sizeof(item), value, len);
	return at + sizeof(item) + SYM_ITEM_ALIGN(len);
}

static void write_pages(struct machine *m)
{
	static const struct sym_item_handler handlers[] = {
		{ "tiny.add", HANDLER_ADD,
		  SYM_CONTEXT_EXIT | SYM_CONTEXT_KICK | SYM_CONTEXT_INTERRUPT },
		{ "tiny.hang", HANDLER_HANG, SYM_CONTEXT_EXIT | SYM_CONTEXT_KICK },
		{ "tiny.irq", HANDLER_IRQ, SYM_CONTEXT_INTERRUPT },
		{ "tiny.fail", HANDLER_FAIL, SYM_CONTEXT_EXIT | SYM_CONTEXT_KICK },
		{ "tiny.state", HANDLER_STATE, SYM_CONTEXT_EXIT | SYM_CONTEXT_KICK },
		{ "tiny.liar", HANDLER_LIAR, SYM_CONTEXT_EXIT },
		{ "tiny.nop", HANDLER_NOP, SYM_CONTEXT_EXIT | SYM_CONTEXT_KICK },
	};
	struct sym_spy_header *head = machine_mem(m, SPY_GPA);
	struct sym_spy_vcpu *task = machine_mem(m, TASK_GPA);
	struct sym_call_area *area = machine_mem(m, AREA_GPA);
	char *at = (char *)(head + 1);

	for (unsigned int i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		at = add_item(at, SYM_ITEM_HANDLER, &handlers[i], sizeof(handlers[i]));
	*head = (struct sym_spy_header){
		.magic = SYM_SPY_MAGIC,
		.version = SYM_ABI_VERSION,
		.kind = SYM_SPY_GUEST,
		.size = SYM_SPY_GUEST_SIZE,
		.used = at - (char *)head,
		.generation = sym_generation(m->sym),
	};
	*task = (struct sym_spy_vcpu){
		.head = *head,
		.item = { .type = SYM_ITEM_TASK, .len = sizeof(task->task) },
		.task = { .pid = 42, .tgid = 41, .comm = "tiny" },
	};
	task->head.kind = SYM_SPY_VCPU;
	task->head.size = SYM_PAGE_SIZE;
	task->head.used = sizeof(*task);
	area->guest.setup = (struct sym_call_setup){
		.magic = SYM_CALL_MAGIC,
		.version = SYM_ABI_VERSION,
		.size = sizeof(*area),
		.generation = sym_generation(m->sym),
		.entry = HIGH + CODE_GPA + (guest_entry - guest_start),
		.stack = HIGH + CALL_STACK,
		.gs_base = HIGH + 0x8000,
		.cs = 0x10,
		.ss = 0x18,
	};
}

void machine_register(struct machine *m)
{
	if (machine_wrmsr(m, SYM_MSR_COOKIE, COOKIE) ||
	    machine_wrmsr(m, SYM_MSR_FEATURES,
			  SYM_FEATURE_SPY | SYM_FEATURE_CALL | SYM_FEATURE_DOORBELL))
		abort();
	write_pages(m);
	if (machine_wrmsr(m, SYM_MSR_SPY_GUEST, SPY_GPA | SYM_MSR_ENABLE) ||
	    machine_wrmsr(m, SYM_MSR_SPY_HOST, SHOW_GPA | SYM_MSR_ENABLE) ||
	    machine_wrmsr(m, SYM_MSR_SPY_VCPU, TASK_GPA | SYM_MSR_ENABLE) ||
	    machine_wrmsr(m, SYM_MSR_CALL_AREA, AREA_GPA | SYM_MSR_ENABLE) ||
	    machine_hypercall(m, COOKIE, SYM_HC_CHANGED, SYM_CHANGED_READY))
		abort();
}
