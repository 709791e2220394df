// SPDX-License-Identifier: BSD-2-Clause
/*
 * Everything that the symbiotic interface takes from a guest: MSRs, hypercalls, the pages
 * it shows, the results it posts, and what a handler does before it returns.  An input is
 * a list of steps that a hostile guest takes on two vCPUs, between those that the VMM
 * takes.  There is no KVM: a vCPU is its run page.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "swapbypass/window.h"
#include "symcall/calls.h"

#define MEMORY	   (256u << 10)
#define NR_VCPUS   2
#define COOKIE	   0x1234567812345678ull
#define TABLE_GPA  0x3f000u /* the top level of page tables: all is mapped */
#define SPY_GPA	   0x10000u
#define SHOW_GPA   0x14000u
#define TASK_GPA   0x15000u /* one page for each vCPU */
#define AREA_GPA   0x18000u /* one area for each vCPU */
#define NR_CALLS   8
#define HIGH	   0xffff800000000000ull
#define MAX_NESTED 3

enum op {
	OP_WRMSR,
	OP_RDMSR,
	OP_POKE,
	OP_HYPERCALL,
	OP_REGISTER,
	OP_HANDLER,
	OP_RETURN,
	OP_COMPLETE,
	OP_READ,
	OP_ASYNC,
	OP_EXIT,
	OP_EXPIRE,
	OP_INTERRUPT,
	OP_RESET,
	OP_SHOW,
	OP_WINDOW,
	OP_OPS
};

struct step {
	uint8_t op; /* modulo OP_OPS */
	uint8_t a;
	uint16_t b;
	uint64_t value;
};
_Static_assert(sizeof(struct step) == 16, "no holes after packing by hand");

static uint8_t *memory;
static struct sym *sym;
static struct {
	struct kvm_run run;
	uint32_t port_data;
} vcpu[NR_VCPUS];
static const uint8_t *input, *input_end;
static struct sym_call calls[NR_CALLS];
static uint8_t replies[NR_CALLS][SYM_CALL_PAYLOAD];
static unsigned int in_flight, nesting;
static unsigned int running; /* op_run()s: a vCPU that runs is not reset */

/* The clock of deadlines is a step here, not a thread. */
int __wrap_deadline_create(struct sym *s);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int __wrap_deadline_create(struct sym *s)
{
	return 0;
}

static void *op_map(void *vm, uint64_t gpa, size_t len)
{
	return gpa < MEMORY && len <= MEMORY - gpa ? memory + gpa : NULL;
}

static int op_state(void *vm, void *v, struct sym_vcpu_state *s)
{
	if (s->what & SYM_STATE_SREGS)
		*s->sregs = (struct kvm_sregs){ .cr3 = TABLE_GPA };
	if (s->what & SYM_STATE_EVENTS)
		memset(s->events, 0, sizeof(*s->events));
	s->mp_state = KVM_MP_STATE_RUNNABLE;
	return 0;
}

static int op_set_state(void *vm, void *v, const struct sym_vcpu_state *s)
{
	return 0;
}

static int take_step(unsigned int id);

/* The handler runs: the next step is what it does. */
static int op_run(void *vm, void *v)
{
	unsigned int id = (struct kvm_run *)v == &vcpu[0].run ? 0 : 1;
	int ret;

	if (input == input_end)
		return -ESHUTDOWN;
	running++;
	ret = take_step(id);
	running--;
	return ret;
}

static int op_handle_exit(void *vm, void *v)
{
	return 0;
}

static int op_flush(void *vm, void *v)
{
	struct kvm_run *run = v;

	run->s.regs.sregs.cr0 = 0x80000001;
	run->s.regs.sregs.cr3 = TABLE_GPA;
	run->s.regs.sregs.efer = 0x400;
	return -EINTR;
}

static int op_kick(void *vm, void *v)
{
	return 0;
}

static int op_doorbell(void *vm)
{
	return 0;
}

static unsigned int op_nr_vcpus(void *vm)
{
	return NR_VCPUS;
}

static void *op_vcpu(void *vm, unsigned int id)
{
	return &vcpu[id].run;
}

static const struct sym_host_ops ops = {
	.version = SYM_HOST_OPS_VERSION,
	.size = sizeof(ops),
	.mem_map = op_map,
	.get_state = op_state,
	.set_state = op_set_state,
	.run = op_run,
	.handle_exit = op_handle_exit,
	.flush = op_flush,
	.kick = op_kick,
	.doorbell = op_doorbell,
	.nr_vcpus = op_nr_vcpus,
	.vcpu = op_vcpu,
};

static void on_event(void *arg, const struct sym_event *event)
{
	for (const char *p = event->text; *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
}

static void on_done(void *arg, struct sym_call *call)
{
	if (call->status > 0 || call->status < -4095 || call->reply_len > call->reply_max)
		abort();
	in_flight--;
	call->done = NULL;
}

static struct sym_call make_call(const struct step *s)
{
	return (struct sym_call){
		.handler = s->value,
		.context = s->b & 15 ? 1u << (s->b & 3) : 0,
		.payload = memory,
		.payload_len = s->b >> 4 & 0x1fff,
		.reply_max = s->value >> 32 & 0xfff,
		.done = on_done,
	};
}

/* A call that nests here and now. */
static void call_now(unsigned int id, const struct step *s)
{
	static uint8_t reply[SYM_CALL_PAYLOAD];
	struct sym_call call = make_call(s);
	int ret;

	if (nesting == MAX_NESTED)
		return;
	call.context = 0;
	call.reply = reply;
	nesting++;
	ret = sym_call(sym, id, &call);
	nesting--;
	if (ret > 0 || ret < -4095 || call.reply_len > call.reply_max)
		abort();
}

static const struct step *hook_step;

static bool on_exit_hook(void *arg, unsigned int id, struct sym_exit *exit)
{
	call_now(id, hook_step);
	return false;
}

static int64_t on_hypercall(void *arg, unsigned int id, uint32_t nr, const uint64_t *args)
{
	call_now(id, hook_step);
	return 0;
}

static struct sym_hooks hooks = {
	.exit = on_exit_hook,
	.hypercall = on_hypercall,
	.kinds = 7,
};

static void io_exit(unsigned int id, uint16_t port, uint32_t data)
{
	struct kvm_run *run = &vcpu[id].run;

	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.size = 4;
	run->io.count = 1;
	run->io.port = port;
	run->io.data_offset = (char *)&vcpu[id].port_data - (char *)run;
	vcpu[id].port_data = data;
}

static void wrmsr(unsigned int id, uint32_t index, uint64_t value)
{
	struct kvm_run *run = &vcpu[id].run;

	run->exit_reason = KVM_EXIT_X86_WRMSR;
	run->msr.index = SYM_MSR_BASE + index;
	run->msr.data = value;
}

static void exit_now(unsigned int id)
{
	sym_handle_exit(sym, id, &vcpu[id].run, 0);
}

static void make_pages(void)
{
	struct sym_spy_header head = {
		.magic = SYM_SPY_MAGIC,
		.version = SYM_ABI_VERSION,
		.kind = SYM_SPY_GUEST,
		.size = SYM_SPY_GUEST_SIZE,
		.used = sizeof(head),
		.generation = sym_generation(sym),
	};
	struct sym_call_setup setup = {
		.magic = SYM_CALL_MAGIC,
		.version = SYM_ABI_VERSION,
		.size = sizeof(struct sym_call_area),
		.generation = head.generation,
		.entry = HIGH,
		.stack = HIGH + 64,
		.gs_base = HIGH,
		.cs = 16,
		.ss = 24,
	};

	for (unsigned int i = 0; i < SYM_PAGE_SIZE / sizeof(uint64_t); i++)
		((uint64_t *)(memory + TABLE_GPA))[i] = 0x1001; /* present */
	memcpy(memory + SPY_GPA, &head, sizeof(head));
	head.kind = SYM_SPY_VCPU;
	head.size = SYM_PAGE_SIZE;
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		struct sym_spy_vcpu *task = (void *)(memory + TASK_GPA + i * SYM_PAGE_SIZE);

		task->head = head;
		task->head.used = sizeof(*task);
		task->item.type = SYM_ITEM_TASK;
		task->item.len = sizeof(task->task);
		memcpy(memory + AREA_GPA + i * sizeof(struct sym_call_area), &setup,
		       sizeof(setup));
	}
}

static void register_all(void)
{
	const uint32_t features = SYM_FEATURE_SPY | SYM_FEATURE_CALL | SYM_FEATURE_DOORBELL;

	wrmsr(0, SYM_MSR_COOKIE, COOKIE), exit_now(0);
	wrmsr(0, SYM_MSR_FEATURES, features), exit_now(0);
	make_pages();
	wrmsr(0, SYM_MSR_SPY_GUEST, SPY_GPA | 1), exit_now(0);
	wrmsr(0, SYM_MSR_SPY_HOST, SHOW_GPA | 1), exit_now(0);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		wrmsr(i, SYM_MSR_SPY_VCPU, (TASK_GPA + i * SYM_PAGE_SIZE) | 1), exit_now(i);
		wrmsr(i, SYM_MSR_CALL_AREA, (AREA_GPA + i * sizeof(struct sym_call_area)) | 1),
			exit_now(i);
	}
}

/* One more entry for the guest's page, as the guest may make it, and word of it. */
static void add_handler(const struct step *s)
{
	struct sym_spy_header *head = (void *)(memory + SPY_GPA);
	uint32_t used = head->used % SYM_SPY_GUEST_SIZE & ~7u;
	struct sym_item item = { .type = SYM_ITEM_HANDLER,
				 .len = sizeof(struct sym_item_handler) };
	struct sym_item_handler h = { .number = s->a, .contexts = s->b };

	memcpy(h.name, &s->value, sizeof(s->value));
	if (s->b & 0x8000) { /* a length that may be anything */
		item.type = s->a;
		item.len = s->value;
	}
	if (used + sizeof(item) + sizeof(h) > SYM_SPY_GUEST_SIZE)
		return;
	memcpy(memory + SPY_GPA + used, &item, sizeof(item));
	memcpy(memory + SPY_GPA + used + sizeof(item), &h, sizeof(h));
	head->used = used + sizeof(item) + sizeof(h);
}

static void hypercall(unsigned int id, const struct step *s, uint32_t nr, uint64_t rsi)
{
	struct kvm_regs *regs = &vcpu[id].run.s.regs.regs;

	*regs = (struct kvm_regs){
		.rdi = s->b & 0x8000 ? s->value : COOKIE,
		.rsi = rsi,
		.rdx = s->value,
		.r8 = s->b,
	};
	io_exit(id, SYM_PORT, nr);
}

static void post_result(unsigned int id, const struct step *s)
{
	struct sym_call_area *area = (void *)(memory + AREA_GPA + id * sizeof(*area));
	unsigned int slot = s->a % SYM_CALL_SLOTS;

	area->guest.result[slot].status = s->value;
	area->guest.result[slot].payload_len = s->value >> 32;
	area->guest.result[slot].token = area->host.request[slot].token;
}

static volatile uint8_t sink; /* of bytes that are only read */

static void read_pages(void)
{
	_Alignas(8) uint8_t buf[SYM_SPY_GUEST_SIZE];
	const struct sym_item *item = NULL;
	struct sym_item_handler h;
	struct sym_item_task task;

	for (unsigned int i = 0; i < NR_VCPUS; i++)
		sym_spy_task(sym, i, &task);
	sym_spy_get(sym, SYM_ITEM_MEMORY, &h, sizeof(h));
	sym_handler_find(sym, "x", &h);
	if (!sym_spy_read(sym, buf))
		while ((item = sym_spy_next(buf, item)))
			for (uint32_t i = 0; i < item->len; i++)
				sink = ((const uint8_t *)(item + 1))[i];
}

#define SLOTS 4096

/* A guest's answer to a reclaim: an answer that is accepted must be valid. */
static void check_runs(const struct step *s)
{
	static struct sym_window_run runs[SYM_WINDOW_RUNS + 1];
	uint8_t seen[SLOTS] = { 1 }; /* slot 0 is reserved */
	uint64_t pages = 0, said = s->value & 0xffff;
	int nr;

	memcpy(runs, memory + AREA_GPA + s->a * 8u, sizeof(runs));
	nr = runs_check(runs, s->b, SLOTS, said, s->value >> 16 & 0xffff);
	for (int i = 0; i < nr; i++) {
		if (!runs[i].count || runs[i].first + runs[i].count > SLOTS)
			abort();
		for (unsigned int j = 0; j < runs[i].count; j++)
			if (seen[runs[i].first + j]++)
				abort();
		pages += runs[i].count;
	}
	if (nr >= 0 && (pages != said || pages > (s->value >> 16 & 0xffff)))
		abort();
}

static void read_window(void)
{
	struct sym_window window = { .sym = sym };
	struct sym_item_window_state state;

	if (sym_window_state(&window, &state))
		return;
	if (state.level > SYM_WINDOW_BYPASS)
		abort();
	for (const char *p = state.reason; *p; p++)
		if (*p < ' ' || *p > '~')
			abort();
}

static void start_async(unsigned int id, const struct step *s)
{
	struct sym_call *call = &calls[s->a % NR_CALLS];

	if (call->done)
		return;
	*call = make_call(s);
	call->reply = replies[s->a % NR_CALLS];
	in_flight++;
	if (sym_call_async(sym, id, call)) {
		call->done = NULL;
		in_flight--;
	}
}

/*
 * take_step - the VMM's own are done here; for the guest's the exit is left in the run
 * page: 0, or -EINTR if there is none.
 */
static int take_step(unsigned int id)
{
	static struct step s; /* the hooks look at it */

	if ((size_t)(input_end - input) < sizeof(s)) {
		input = input_end;
		return -EINTR;
	}
	memcpy(&s, input, sizeof(s));
	input += sizeof(s);
	hook_step = &s;
	switch (s.op % OP_OPS) {
	case OP_WRMSR:
		wrmsr(id, s.a, s.value);
		return 0;
	case OP_RDMSR:
		vcpu[id].run.exit_reason = KVM_EXIT_X86_RDMSR;
		vcpu[id].run.msr.index = SYM_MSR_BASE + s.a;
		return 0;
	case OP_POKE:
		memcpy(memory + s.b * 8u % (MEMORY - 8), &s.value, 1 + s.a % 8);
		return -EINTR;
	case OP_HYPERCALL:
		hypercall(id, &s, s.a < 16 ? s.a : SYM_HC_SERVICE + s.a, s.value);
		return 0;
	case OP_REGISTER:
		if (!running)
			register_all();
		return -EINTR;
	case OP_HANDLER:
		add_handler(&s);
		hypercall(id, &(struct step){ .a = SYM_HC_CHANGED }, SYM_HC_CHANGED,
			  SYM_CHANGED_HANDLERS);
		return 0;
	case OP_RETURN:
		hypercall(id, &s, SYM_HC_RETURN, sym->calls->vcpu[id].nested_token);
		return 0;
	case OP_COMPLETE:
		post_result(s.b & 1, &s);
		hypercall(id, &(struct step){ 0 }, SYM_HC_COMPLETE, s.b & 1);
		return 0;
	case OP_READ:
		read_pages();
		return -EINTR;
	case OP_ASYNC:
		start_async(id, &s);
		return -EINTR;
	case OP_EXIT:
		io_exit(id, s.a, s.b);
		return 0;
	case OP_EXPIRE:
		async_expire(&sym->calls->vcpu[s.a & 1], s.a & 2 ? 1u << 20 : 0);
		if (s.a & 4)
			sym->calls->vcpu[id].expired = sym->calls->vcpu[id].nested_number;
		return -EINTR;
	case OP_INTERRUPT:
		if (!running)
			sym_handle_exit(sym, id, &vcpu[id].run, -EINTR);
		return -EINTR;
	case OP_RESET:
		if (!running)
			sym_reset(sym);
		return -EINTR;
	case OP_WINDOW:
		check_runs(&s);
		read_window();
		return -EINTR;
	default: /* OP_SHOW */
		sym_show(sym, "x", &s.value, s.a % 9);
		return -EINTR;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct sym_config config = {
		.size = sizeof(config),
		.name = "fuzz",
		.uuid = "",
		.features = 15,
		.sync_regs = SYNC_ALL,
		.event = on_event,
	};

	memory = calloc(1, MEMORY); /* of its own, so that the sanitizer knows its ends */
	memset(vcpu, 0, sizeof(vcpu));
	memset(calls, 0, sizeof(calls));
	in_flight = nesting = running = 0;
	input = data;
	input_end = data + size;
	if (!memory || sym_create(&ops, NULL, &config, &sym))
		abort();
	sym_set_hooks(sym, &hooks);
	register_all();
	for (unsigned int id = 0; input != input_end; id ^= input[-1] & 1)
		if (!take_step(id))
			exit_now(id);
	sym_destroy(sym);
	if (in_flight)
		abort(); /* somebody would wait for ever */
	free(memory);
	return 0;
}
