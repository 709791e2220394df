// SPDX-License-Identifier: BSD-2-Clause
/*
 * Many upcalls, for the system tests: "run CONTEXT COUNT" keeps calls to symtest.echo in
 * flight on every vCPU until COUNT have ended, "status" tells how they did.  Calls in
 * exit context are made by whatever the guest does: on each write to port 0x99, on each
 * hypercall 0x100, and on each access to memory from 0xd0000000 on (a device's); with
 * "exits trivial" to symtest.error, which does nothing.  "time" and "spy" measure.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <symkit/service.h>

#define PORT	   0x99
#define PCI_FIRST  0xd0000000
#define PCI_LAST   0xdfffffff
#define MAX_FLIGHT 64
#define PAYLOAD	   256

struct flight {
	struct stress *stress;
	struct sym_call call;
	unsigned int vcpu;
	uint8_t payload[PAYLOAD], reply[PAYLOAD];
};

struct stress {
	struct sym_service_vm *vm;
	struct sym_service_timer *timer;
	struct flight flight[MAX_FLIGHT];
	uint32_t context, handler;
	uint64_t left, started, done, bad, busy;
	int last; /* the last status that was not 0 */
	/* Of the hooks: several threads. */
	uint64_t port, mmio, hypercalls, exits_bad;
	int exit_last;
	uint32_t exit_handler;
	bool trivial;
};

static void fill(struct sym_call *call, uint64_t n)
{
	for (unsigned int i = 0; i < SYM_CALL_ARGS; i++)
		call->arg[i] = n * (2 * i + 1) ^ (uint64_t)i << 60;
}

static bool right(const struct sym_call *call)
{
	uint64_t xor = 0;

	for (unsigned int i = 0; i < SYM_CALL_ARGS; i++)
		xor ^= call->arg[i];
	return call->value[0] == call->arg[0] + call->arg[1] && call->value[1] == xor;
}

static bool reversed(const struct flight *f)
{
	if (f->call.reply_len != PAYLOAD)
		return false;
	for (unsigned int i = 0; i < PAYLOAD; i++)
		if (f->reply[i] != f->payload[PAYLOAD - 1 - i])
			return false;
	return true;
}

static void start_one(struct stress *s, struct flight *f);

static void ended(void *arg, struct sym_call *call)
{
	struct flight *f = arg;
	struct stress *s = f->stress;

	s->done++;
	if (call->status || !right(call) || !reversed(f)) {
		s->bad++;
		s->last = call->status ? call->status : 1;
	}
	call->done = NULL;
	if (s->left)
		start_one(s, f);
}

static void start_one(struct stress *s, struct flight *f)
{
	int ret;

	f->call = (struct sym_call){
		.handler = s->handler,
		.context = s->context,
		.payload = f->payload,
		.payload_len = PAYLOAD,
		.reply = f->reply,
		.reply_max = PAYLOAD,
		.deadline_ms = 30000,
		.done = ended,
		.arg_done = f,
	};
	fill(&f->call, s->started);
	memset(f->payload, s->started, PAYLOAD / 2);
	ret = sym_service_upcall(s->vm, f->vcpu, &f->call);
	if (!ret) {
		s->started++;
		s->left--;
		return;
	}
	f->call.done = NULL; /* the timer tries again */
	if (ret == -EBUSY) {
		s->busy++;
	} else {
		s->bad++;
		s->last = ret;
		s->left = 0;
	}
}

/* Keeps two a vCPU going (one, where only one can be). */
static void on_timer(void *state)
{
	struct stress *s = state;
	unsigned int nr = sym_service_nr_vcpus(s->vm);
	unsigned int each = s->context == SYM_CONTEXT_KICK ? 1 : 2;

	for (unsigned int i = 0; i < nr * each && i < MAX_FLIGHT; i++) {
		struct flight *f = &s->flight[i];

		if (s->left && !f->call.done) {
			f->stress = s;
			f->vcpu = i % nr;
			start_one(s, f);
		}
	}
	if (!s->left)
		sym_service_timer_set(s->timer, 0);
}

static int find(struct stress *s, const char *name, uint32_t *number)
{
	struct sym_item_handler h;
	int ret = sym_handler_find(sym_service_sym(s->vm), name, &h);

	*number = h.number;
	return ret;
}

static uint32_t context_of(const char *name)
{
	return !strcmp(name, "interrupt") ? SYM_CONTEXT_INTERRUPT :
	       !strcmp(name, "thread")	  ? SYM_CONTEXT_THREAD :
	       !strcmp(name, "kick")	  ? SYM_CONTEXT_KICK :
					    0;
}

static int run(void *state, int argc, const char *const *argv, struct sym_service_answer *answer)
{
	struct stress *s = state;
	uint32_t context = argc == 2 ? context_of(argv[0]) : 0;
	int ret;

	if (!context)
		return sym_service_fail(s->vm, -EINVAL, "run interrupt|thread|kick COUNT");
	ret = find(s, "symtest.echo", &s->handler);
	if (ret)
		return sym_service_fail(s->vm, ret, "the guest has no symtest.echo");
	s->context = context;
	s->left = strtoull(argv[1], NULL, 0);
	s->started = s->done = s->bad = s->busy = 0;
	return sym_service_timer_set(s->timer, 1);
}

static int status(void *state, int argc, const char *const *argv,
		  struct sym_service_answer *answer)
{
	struct stress *s = state;

	sym_service_print(answer, "done %llu left %llu bad %llu last %d busy %llu",
			  (unsigned long long)s->done,
			  (unsigned long long)(s->left + s->started - s->done),
			  (unsigned long long)s->bad, s->last, (unsigned long long)s->busy);
	return 0;
}

/* "exits on|trivial|off": make calls from exits, too; then how many there were. */
static int exits(void *state, int argc, const char *const *argv,
		 struct sym_service_answer *answer)
{
	struct stress *s = state;
	uint32_t number = 0;

	if (argc == 1 && (!strcmp(argv[0], "on") || !strcmp(argv[0], "trivial"))) {
		s->trivial = !strcmp(argv[0], "trivial");
		if (find(s, s->trivial ? "symtest.error" : "symtest.echo", &number))
			return sym_service_fail(s->vm, -ENOSYS, "no symtest handlers");
		__atomic_store_n(&s->exit_handler, number, __ATOMIC_RELAXED);
	} else if (argc == 1) {
		__atomic_store_n(&s->exit_handler, 0, __ATOMIC_RELAXED);
	}
	sym_service_print(answer, "port %llu mmio %llu hypercall %llu bad %llu last %d",
			  (unsigned long long)s->port, (unsigned long long)s->mmio,
			  (unsigned long long)s->hypercalls, (unsigned long long)s->exits_bad,
			  s->exit_last);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* "time CONTEXT COUNT": so many calls of a trivial handler, one after the other. */
static int time_calls(void *state, int argc, const char *const *argv,
		      struct sym_service_answer *answer)
{
	struct stress *s = state;
	struct sym_item_handler h;
	uint32_t context = argc == 2 ? context_of(argv[0]) : 0;
	unsigned int count = argc == 2 ? atoi(argv[1]) : 0;
	uint64_t start;

	if (!context || !count)
		return sym_service_fail(s->vm, -EINVAL, "time interrupt|thread|kick COUNT");
	if (sym_handler_find(sym_service_sym(s->vm), "symtest.error", &h))
		return sym_service_fail(s->vm, -ENOSYS, "no symtest.error");
	start = now_ns();
	for (unsigned int i = 0; i < count; i++) {
		struct sym_call call = { .handler = h.number, .context = context };
		int ret = sym_call_wait(sym_service_sym(s->vm), 0, &call);

		if (ret)
			return sym_service_fail(s->vm, ret, "call %u: %s", i, strerror(-ret));
	}
	sym_service_print(answer, "%llu", (unsigned long long)((now_ns() - start) / count));
	return 0;
}

/* "spy COUNT": read the current task of all vCPUs, so often; nanoseconds for one round. */
static int time_spy(void *state, int argc, const char *const *argv,
		    struct sym_service_answer *answer)
{
	struct stress *s = state;
	unsigned int nr = sym_service_nr_vcpus(s->vm);
	unsigned int count = argc == 1 ? atoi(argv[0]) : 0, failed = 0;
	struct sym_item_task task;
	uint64_t start = now_ns();

	if (!count)
		return sym_service_fail(s->vm, -EINVAL, "spy COUNT");
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int id = 0; id < nr; id++)
			failed += sym_spy_task(sym_service_sym(s->vm), id, &task) != 0;
	sym_service_print(answer, "%llu failed %u",
			  (unsigned long long)((now_ns() - start) / count), failed);
	return 0;
}

static void call_here(struct stress *s, unsigned int vcpu, uint64_t *count)
{
	struct sym_call call = {
		.handler = __atomic_load_n(&s->exit_handler, __ATOMIC_RELAXED),
	};
	int ret;

	if (!call.handler)
		return;
	if (!s->trivial)
		fill(&call, *count);
	ret = sym_call(sym_service_sym(s->vm), vcpu, &call);
	if (ret == -EBUSY) /* a kick has the vCPU: as it should be */
		return;
	__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	if (ret || (!s->trivial && !right(&call))) {
		__atomic_fetch_add(&s->exits_bad, 1, __ATOMIC_RELAXED);
		s->exit_last = ret ? ret : 1;
	}
}

static bool on_exit_hook(void *state, unsigned int vcpu, struct sym_exit *exit)
{
	struct stress *s = state;

	call_here(s, vcpu, exit->kind == SYM_EXIT_MMIO ? &s->mmio : &s->port);
	return false;
}

static int64_t on_hypercall(void *state, unsigned int vcpu, const uint64_t *args)
{
	struct stress *s = state;

	call_here(s, vcpu, &s->hypercalls);
	return args[0] + 1;
}

static int init(struct sym_service_vm *vm, const char *args, void **state)
{
	struct stress *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->vm = vm;
	*state = s;
	ret = sym_service_timer_new(vm, on_timer, &s->timer);
	if (!ret)
		ret = sym_service_hook(vm, SYM_EXIT_PIO, PORT, PORT, on_exit_hook);
	if (!ret)
		ret = sym_service_hook(vm, SYM_EXIT_MMIO, PCI_FIRST, PCI_LAST, on_exit_hook);
	if (!ret)
		ret = sym_service_hypercall(vm, SYM_HC_SERVICE, on_hypercall);
	return ret;
}

static const struct sym_service_verb verbs[] = {
	{ "run", "CONTEXT COUNT", run }, { "status", "", status },
	{ "exits", "on|off", exits },	 { "time", "CONTEXT COUNT", time_calls },
	{ "spy", "COUNT", time_spy },	 { NULL, NULL, NULL },
};

SYM_SERVICE = {
	SYM_SERVICE_HEAD, .name = "stress", .about = "upcalls for the tests",
	.init = init,	  .exit = free,	    .verbs = verbs,
};
