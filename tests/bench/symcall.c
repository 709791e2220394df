// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a SymCall costs, in bare exits: a tiny guest writes to a port that nobody has,
 * makes hypercalls that a hook answers with a call, and writes to a port whose exit a
 * hook answers with a call.  Prints ratios, of time; where the rig counts instructions,
 * time is instructions.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../tiny/machine.h"

#define BARE_PORT   0x98
#define HOOKED_PORT 0x99
#define SPY_READS   10000

static struct machine m;
static unsigned long failures;
static struct sym_call call = { .handler = HANDLER_NOP };

static void make_call(unsigned int id)
{
	if (sym_call(m.sym, id, &call))
		failures++;
}

static bool on_exit_hook(void *arg, unsigned int id, struct sym_exit *exit)
{
	if (exit->addr == HOOKED_PORT)
		make_call(id);
	return false;
}

static int64_t on_hypercall(void *arg, unsigned int id, uint32_t nr, const uint64_t *args)
{
	make_call(id);
	return 0;
}

static struct sym_hooks hooks = { .exit = on_exit_hook, .hypercall = on_hypercall };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* loop - nanoseconds for each of @n rounds of the guest's loop at @entry. */
static double loop(const char *entry, uint16_t port, unsigned int n)
{
	struct kvm_regs regs = {
		.rdx = port,
		.rdi = COOKIE,
		.rbp = n,
		.r14 = SYM_HC_SERVICE,
	};
	double start;

	machine_set(&m, entry, 0, &regs);
	start = now();
	if (machine_run(&m))
		exit(1);
	return (now() - start) * 1e9 / n;
}

static double spy_read_ns(void)
{
	struct sym_item_task task;
	double start = now();

	for (int i = 0; i < SPY_READS; i++)
		if (sym_spy_task(m.sym, 0, &task))
			failures++;
	return (now() - start) * 1e9 / SPY_READS;
}

int main(int argc, char **argv)
{
	unsigned int n = argc > 1 ? atoi(argv[1]) : 2000;
	double bare, hypercall, from_exit;

	if (machine_create(&m)) {
		fprintf(stderr, "bench symcall: no machine\n");
		return 1;
	}
	sym_set_hooks(m.sym, &hooks);
	/* Before anything is registered, so that the exit is as bare as can be. */
	loop(guest_loop_out, BARE_PORT, n / 10);
	bare = loop(guest_loop_out, BARE_PORT, n);
	machine_register(&m);
	loop(guest_loop_hypercall, 0, n / 10);
	m.ioctls = 0;
	hypercall = loop(guest_loop_hypercall, 0, n);
	hooks.kinds = 1 << SYM_EXIT_PIO;
	from_exit = loop(guest_loop_out, HOOKED_PORT, n);
	printf("bare_ns %.0f\nhypercall %.3f\nexit %.3f\nioctls %u\nspy_ns %.1f\nfailures %lu\n",
	       bare, hypercall / bare, from_exit / bare, m.ioctls, spy_read_ns(), failures);
	return failures != 0;
}
