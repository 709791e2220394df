// SPDX-License-Identifier: BSD-2-Clause
/*
 * The symbiotic interface against a real vCPU: discovery, registration, hypercalls, and
 * SymCalls from each kind of exit, with what they leave behind.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "machine.h"

#define ROUNDS	      200
#define SERVICE_MSR   0x53595001
#define RFLAGS_IOPL   0x3000
#define RFLAGS_STATUS 0x8d5 /* what arithmetic leaves: OF, SF, ZF, AF, PF, CF */

static struct machine m;

/* What the hooks do, and what came of it. */
static struct sym_call call;
static int call_status, second_status;
static unsigned int calls_made;

static uint64_t msr_value;

static bool on_exit_hook(void *arg, unsigned int id, struct sym_exit *exit)
{
	if (exit->kind == SYM_EXIT_MSR) {
		memcpy(&msr_value, exit->data, sizeof(msr_value));
		return true;
	}
	if (exit->addr != 0x99)
		return false;
	call_status = sym_call(m.sym, id, &call);
	calls_made++;
	return false;
}

static int64_t on_hypercall(void *arg, unsigned int id, uint32_t nr, const uint64_t *args)
{
	if (nr != SYM_HC_SERVICE)
		return -ENOSYS;
	call_status = sym_call(m.sym, id, &call);
	calls_made++;
	return 4711;
}

static struct sym_hooks hooks = {
	.exit = on_exit_hook,
	.hypercall = on_hypercall,
	.kinds = 1 << SYM_EXIT_PIO | 1 << SYM_EXIT_MSR,
	.msr = { { SERVICE_MSR, 1 } },
	.nr_msr = 1,
};

static int setup(void **state)
{
	if (machine_create(&m))
		return -1;
	sym_set_hooks(m.sym, &hooks);
	return sym_attach(m.sym, m.vm.board.vm_fd); /* again, for the hooks' MSR */
}

static int teardown(void **state)
{
	machine_destroy(&m);
	return 0;
}

static int start(void **state)
{
	machine_register(&m);
	call = (struct sym_call){
		.handler = HANDLER_ADD,
		.arg = { 1, 20, 300, 4000, 50000, 600000 },
	};
	call_status = second_status = 1;
	calls_made = m.ioctls = 0;
	return 0;
}

static void assert_added(void)
{
	assert_int_equal(call_status, 0);
	assert_int_equal(call.value[0], 654321);
	assert_int_equal(call.value[1], 1 ^ 20 ^ 300 ^ 4000 ^ 50000 ^ 600000);
}

static void test_discovery(void **state)
{
	struct kvm_regs regs = { .rax = SYM_CPUID_BASE };
	struct kvm_sregs sregs;
	char signature[13] = "";

	machine_set(&m, guest_cpuid, 0, &regs);
	assert_int_equal(machine_run(&m), 0);
	machine_get(&m, &regs, &sregs);
	memcpy(signature, &regs.rbx, 4);
	memcpy(signature + 4, &regs.rcx, 4);
	memcpy(signature + 8, &regs.rdx, 4);
	assert_string_equal(signature, SYM_CPUID_SIGNATURE);
	regs = (struct kvm_regs){ .rax = SYM_CPUID_BASE + SYM_CPUID_FEATURES };
	machine_set(&m, guest_cpuid, 0, &regs);
	assert_int_equal(machine_run(&m), 0);
	machine_get(&m, &regs, &sregs);
	assert_int_equal(regs.rax, SYM_ABI_VERSION);
	assert_int_equal(regs.rbx, SYM_FEATURE_SPY | SYM_FEATURE_CALL | SYM_FEATURE_DOORBELL);
	assert_int_equal(regs.rcx, SYM_MSR_BASE);
	assert_int_equal(regs.rdx, SYM_PORT | 17 << 16);
}

/* Out of order, or not RAM: #GP and nothing changed. */
static void test_refused_registration(void **state)
{
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_COOKIE, 0), 0);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_FEATURES, 1), -1);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_GUEST, SPY_GPA | 1), -1);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_COOKIE, COOKIE), 0);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_GUEST, SPY_GPA | 1), -1);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_FEATURES, 1u << 31), -1);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_FEATURES, SYM_FEATURE_SPY), 0);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_GUEST, 0x7fff0001), -1);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_GUEST, (64 << 20) - 4096 + 1), -1);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_GUEST, ~0xffeull), -1);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_GUEST, SPY_GPA | 0x801), -1);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_CALL_AREA, AREA_GPA | 1), -1);
	assert_int_equal(machine_wrmsr(&m, 9, 0), -1);
	assert_int_equal(m.last.type, SYM_EVENT_FAULT);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_GUEST, SPY_GPA | 1), 0);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_GUEST, 0), 0);
}

static void test_ready(void **state)
{
	struct sym_item_handler h;
	struct sym_item_task task;

	assert_int_equal(m.last.type, SYM_EVENT_READY);
	assert_int_equal(sym_handler_find(m.sym, "tiny.add", &h), 0);
	assert_int_equal(h.number, HANDLER_ADD);
	assert_int_equal(sym_handler_find(m.sym, "tiny.none", &h), -ENOSYS);
	assert_int_equal(sym_spy_task(m.sym, 0, &task), 0);
	assert_int_equal(task.pid, 42);
	assert_string_equal(task.comm, "tiny");
}

static void test_hypercalls(void **state)
{
	assert_int_equal(machine_hypercall(&m, COOKIE, SYM_HC_NOP, 0), 0);
	assert_int_equal(machine_hypercall(&m, COOKIE + 1, SYM_HC_NOP, 0), -EPERM);
	assert_int_equal(machine_hypercall(&m, COOKIE, 77, 0), -ENOSYS);
	assert_int_equal(machine_hypercall(&m, COOKIE, SYM_HC_RETURN, 1), -EINVAL);
	assert_int_equal(machine_hypercall(&m, COOKIE, SYM_HC_COMPLETE, 5), -EINVAL);
	assert_int_equal(machine_hypercall(&m, COOKIE, SYM_HC_SERVICE + 1, 0), -ENOSYS);
}

/* Each register has its own value, so a lost or swapped one shows. */
static struct kvm_regs marked(void)
{
	return (struct kvm_regs){
		.rax = SYM_HC_SERVICE,
		.rbx = 0xb,
		.rcx = 0xc,
		.rdx = 0x99,
		.rsi = 0x51,
		.rdi = COOKIE,
		.rbp = 0xbb,
		.r8 = 8,
		.r9 = 9,
		.r10 = 10,
		.r11 = 11,
		.r12 = 12,
		.r13 = 13,
		.r14 = 14,
		.r15 = 15,
		.rflags = 0x2 | 0x1 | 0x4 | 0x400, /* CF, PF, DF */
	};
}

static void check_intact(const char *entry, int ring, uint64_t rax)
{
	struct kvm_regs before, after;
	struct kvm_sregs sregs_before, sregs_after;

	before = marked();
	machine_set(&m, entry, ring, &before);
	machine_get(&m, &before, &sregs_before);
	assert_int_equal(machine_run(&m), 0);
	machine_get(&m, &after, &sregs_after);
	before.rip += 3; /* out %eax,$0x7e or out %al,%dx, then out %al,$0x77 */
	if (entry == guest_hypercall)
		before.rip++;
	before.rax = rax;
	/* A KVM that runs user mode on the bare CPU loses IOPL there, without us too. */
	before.rflags &= ~RFLAGS_IOPL;
	after.rflags &= ~RFLAGS_IOPL;
	assert_memory_equal(&before, &after, sizeof(before));
	/* The accessed bits and the like may change; what we set may not. */
	assert_int_equal(sregs_before.cs.selector, sregs_after.cs.selector);
	assert_int_equal(sregs_before.cs.dpl, sregs_after.cs.dpl);
	assert_int_equal(sregs_before.ss.selector, sregs_after.ss.selector);
	assert_int_equal(sregs_before.ss.dpl, sregs_after.ss.dpl);
	assert_int_equal(sregs_before.gs.base, sregs_after.gs.base);
	assert_int_equal(sregs_before.fs.base, sregs_after.fs.base);
	assert_int_equal(sregs_before.cr3, sregs_after.cr3);
}

static void test_call_from_hypercall(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		call_status = 1;
		check_intact(guest_hypercall, 0, 4711);
		assert_added();
	}
	assert_int_equal(calls_made, ROUNDS);
}

static void test_call_from_exit(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		call_status = 1;
		check_intact(guest_out, 0, SYM_HC_SERVICE);
		assert_added();
	}
}

static void test_call_from_user(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		call_status = 1;
		check_intact(guest_out, 3, SYM_HC_SERVICE);
		assert_added();
	}
}

/* No ioctl but KVM_RUN, from a hypercall, the kernel and user mode. */
static void test_no_ioctl(void **state)
{
	static const struct {
		const char *entry;
		int ring;
	} ways[] = { { guest_hypercall, 0 }, { guest_out, 0 }, { guest_out, 3 } };

	if (getenv("SYM_NO_SYNC_REGS"))
		skip();
	for (unsigned int i = 0; i < 3; i++) {
		struct kvm_regs regs = marked();

		machine_set(&m, ways[i].entry, ways[i].ring, &regs);
		m.ioctls = 0;
		assert_int_equal(machine_run(&m), 0);
		assert_int_equal(m.ioctls, 0);
		assert_added();
	}
}

/* Interrupts off, DF clear and the kernel's GS, whatever the vCPU had. */
static void test_handler_state(void **state)
{
	*(uint64_t *)machine_mem(&m, 0x8000 + 16) = 0x6711;
	call.handler = HANDLER_STATE;
	check_intact(guest_hypercall, 0, 4711);
	assert_int_equal(call.value[0] & ~RFLAGS_STATUS, 2);
	assert_int_equal(call.value[1], 0x6711);
	for (int ring = 0; ring <= 3; ring += 3) {
		call.value[0] = call.value[1] = 0;
		check_intact(guest_out, ring, SYM_HC_SERVICE);
		assert_int_equal(call_status, 0);
		assert_int_equal(call.value[0] & ~RFLAGS_STATUS, 2);
		assert_int_equal(call.value[1], 0x6711);
	}
}

static void test_wrong_token(void **state)
{
	call.handler = HANDLER_LIAR;
	check_intact(guest_hypercall, 0, 4711);
	assert_int_equal(call_status, 0);
	assert_int_equal((int64_t)call.value[0], -EINVAL);
}

static void test_msr_hook(void **state)
{
	struct kvm_regs regs = { .rcx = SERVICE_MSR, .rax = 0x1234, .rdx = 0x5678 };

	machine_set(&m, guest_wrmsr, 0, &regs);
	assert_int_equal(machine_run(&m), 0);
	assert_int_equal(msr_value, 0x567800001234);
}

static void test_status(void **state)
{
	call.handler = HANDLER_FAIL;
	call.arg[0] = ENOSPC;
	check_intact(guest_hypercall, 0, 4711);
	assert_int_equal(call_status, -ENOSPC);
	call.arg[0] = -1; /* a status that is none */
	check_intact(guest_hypercall, 0, 4711);
	assert_int_equal(call_status, -EPROTO);
	call.handler = HANDLER_IRQ;
	check_intact(guest_hypercall, 0, 4711);
	assert_int_equal(call_status, -EPERM);
	call.handler = 99;
	check_intact(guest_hypercall, 0, 4711);
	assert_int_equal(call_status, -ENOSYS);
}

/* A handler that hangs is given up, its vCPU goes on, and a new registration opens it. */
static void check_hang(const char *entry, int ring, uint64_t rax)
{
	call.handler = HANDLER_HANG;
	call.deadline_ms = 20;
	check_intact(entry, ring, rax);
	assert_int_equal(call_status, -ETIMEDOUT);
	assert_int_equal(m.last.type, SYM_EVENT_TIMEOUT);
	call.handler = HANDLER_ADD;
	check_intact(entry, ring, rax);
	assert_int_equal(call_status, -ESHUTDOWN);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_CALL_AREA, AREA_GPA | 1), 0);
	check_intact(entry, ring, rax);
	assert_added();
}

static void test_hang(void **state)
{
	check_hang(guest_hypercall, 0, 4711);
	check_hang(guest_out, 0, SYM_HC_SERVICE);
	check_hang(guest_out, 3, SYM_HC_SERVICE);
}

/* A thread that calls while the guest runs. */
struct caller {
	uint32_t context;
	uint32_t handler;
	int status;
	uint64_t value;
	char reply[8];
};

static void *call_thread(void *arg)
{
	struct caller *c = arg;
	struct sym_call k = {
		.handler = c->handler,
		.context = c->context,
		.arg = { 5, 6 },
		.deadline_ms = 2000,
		.reply = (uint8_t *)c->reply,
		.reply_max = sizeof(c->reply),
	};

	usleep(20000);
	c->status = sym_call_wait(m.sym, 0, &k);
	c->value = k.value[0];
	if (c->context == SYM_CONTEXT_KICK) /* lets guest_spin go */
		__atomic_store_n((uint64_t *)machine_mem(&m, 0x8000), 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void run_with_caller(struct caller *c, const char *entry, int ring, uint64_t rbx)
{
	struct kvm_regs regs = marked();
	pthread_t thread;

	memset(machine_mem(&m, 0x8000), 0, 16);
	regs.rbx = rbx;
	machine_set(&m, entry, ring, &regs);
	assert_int_equal(pthread_create(&thread, NULL, call_thread, c), 0);
	assert_int_equal(machine_run(&m), 0);
	pthread_join(thread, NULL);
}

static void test_kick(void **state)
{
	for (int ring = 0; ring <= 3; ring += 3) {
		struct caller c = { .context = SYM_CONTEXT_KICK, .handler = HANDLER_ADD };

		run_with_caller(&c, guest_spin, ring, (ring ? 0 : HIGH) + 0x8000);
		assert_int_equal(c.status, 0);
		assert_int_equal(c.value, 11);
	}
}

/* A crash kernel has taken over: what is registered is not its. */
static void test_kick_finds_another_kernel(void **state)
{
	struct caller c = { .context = SYM_CONTEXT_KICK, .handler = HANDLER_ADD };

	machine_other_kernel(&m);
	run_with_caller(&c, guest_spin, 3, 0x8000);
	assert_int_equal(c.status, -EAGAIN);
}

static void test_async(void **state)
{
	struct caller c = { .context = SYM_CONTEXT_INTERRUPT, .handler = HANDLER_IRQ };
	uint64_t rings = 0;

	run_with_caller(&c, guest_poll, 0, HIGH + AREA_GPA);
	assert_int_equal(c.status, 0);
	assert_int_equal(c.value, 11);
	assert_memory_equal(c.reply, "hello", 5);
	assert_int_equal(read(m.vm.doorbell_fd, &rings, sizeof(rings)), sizeof(rings));
	assert_int_equal(rings, 1);
}

/* The guest does not answer: five calls wait, a sixth is refused, all end in time. */
static void test_async_timeout(void **state)
{
	struct sym_call late = { .handler = HANDLER_IRQ, .deadline_ms = 30 };
	struct sym_stats before, after;

	sym_get_stats(m.sym, &before);
	assert_int_equal(sym_call_wait(m.sym, 0, &late), -ETIMEDOUT);
	assert_int_equal(sym_call_wait(m.sym, 0, &late), -ETIMEDOUT);
	assert_int_equal(sym_call_wait(m.sym, 0, &late), -ETIMEDOUT);
	assert_int_equal(sym_call_wait(m.sym, 0, &late), -ETIMEDOUT);
	assert_int_equal(sym_call_wait(m.sym, 0, &late), -ETIMEDOUT);
	assert_int_equal(sym_call_wait(m.sym, 0, &late), -EBUSY);
	sym_get_stats(m.sym, &after);
	assert_int_equal(after.timeouts - before.timeouts, 5);
	late.handler = HANDLER_ADD;
	late.context = SYM_CONTEXT_THREAD;
	assert_int_equal(sym_call_wait(m.sym, 0, &late), -EPERM);
	late.handler = 1234;
	assert_int_equal(sym_call_wait(m.sym, 0, &late), -ENOSYS);
}

/* The module starts anew in the middle: what is in flight ends, the old token is void. */
static void test_generation(void **state)
{
	uint32_t before = sym_generation(m.sym);
	struct sym_item_task task;

	assert_int_equal(machine_wrmsr(&m, SYM_MSR_COOKIE, COOKIE), 0);
	assert_int_equal(sym_generation(m.sym), before + 1);
	assert_int_equal(sym_spy_task(m.sym, 0, &task), -ENODEV);
	call_status = 1;
	check_intact(guest_hypercall, 0, 4711);
	assert_int_equal(call_status, -ENOSYS);
	/* A page that still says the old generation is not read. */
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_FEATURES, SYM_FEATURE_SPY), 0);
	assert_int_equal(machine_wrmsr(&m, SYM_MSR_SPY_VCPU, TASK_GPA | 1), 0);
	assert_int_equal(sym_spy_task(m.sym, 0, &task), -EPROTO);
}

static void test_reset(void **state)
{
	struct sym_item_task task;
	char page[SYM_PAGE_SIZE];

	sym_reset(m.sym);
	assert_int_equal(m.last.type, SYM_EVENT_GONE);
	assert_int_equal(sym_spy_task(m.sym, 0, &task), -ENODEV);
	memset(machine_mem(&m, SHOW_GPA), 0x5a, SYM_PAGE_SIZE);
	assert_int_equal(sym_show(m.sym, "test", "x", 1), 0);
	memset(page, 0x5a, sizeof(page));
	assert_memory_equal(page, machine_mem(&m, SHOW_GPA), sizeof(page));
	assert_int_equal(sym_show(m.sym, "test", NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_refused_registration),
		cmocka_unit_test_setup(test_ready, start),
		cmocka_unit_test_setup(test_hypercalls, start),
		cmocka_unit_test_setup(test_call_from_hypercall, start),
		cmocka_unit_test_setup(test_call_from_exit, start),
		cmocka_unit_test_setup(test_call_from_user, start),
		cmocka_unit_test_setup(test_no_ioctl, start),
		cmocka_unit_test_setup(test_handler_state, start),
		cmocka_unit_test_setup(test_wrong_token, start),
		cmocka_unit_test(test_msr_hook),
		cmocka_unit_test_setup(test_status, start),
		cmocka_unit_test_setup(test_hang, start),
		cmocka_unit_test_setup(test_kick, start),
		cmocka_unit_test_setup(test_kick_finds_another_kernel, start),
		cmocka_unit_test_setup(test_async, start),
		cmocka_unit_test_setup(test_async_timeout, start),
		cmocka_unit_test_setup(test_generation, start),
		cmocka_unit_test_setup(test_reset, start),
	};

	if (access("/dev/kvm", R_OK | W_OK))
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
