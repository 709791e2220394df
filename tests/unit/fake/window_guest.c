// SPDX-License-Identifier: BSD-2-Clause
/* See window_guest.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symbiotic/sym.h"
#include "window_guest.h"

static const char *const handlers[] = { SYM_WINDOW_SET, SYM_WINDOW_STAT, SYM_WINDOW_RECLAIM,
					SYM_WINDOW_RECLAIMED };

struct window_guest guest;
struct sym_window *window;
struct sym_err err;
char path[128];
static char dir[64];

/* The parts of the interface that swapbypass/ uses. */

uint32_t sym_generation(const struct sym *sym)
{
	return guest.generation;
}

int sym_spy_get(struct sym *sym, uint16_t type, void *value, size_t size)
{
	assert_int_equal(type, SYM_ITEM_WINDOW_STATE);
	assert_int_equal(size, sizeof(guest.state));
	memcpy(value, &guest.state, size);
	return guest.has_state ? 0 : -ENOENT;
}

void sym_show_window(struct sym *sym, const struct sym_item_window *item)
{
	guest.shown = item ? *item : (struct sym_item_window){ 0 };
}

unsigned int sym_nr_vcpus(const struct sym *sym)
{
	return 2;
}

int sym_handler_find(struct sym *sym, const char *name, struct sym_item_handler *handler)
{
	for (unsigned int i = 0; i < 4 && guest.first_handler; i++)
		if (!strcmp(handlers[i], name)) {
			handler->number = guest.first_handler + i;
			return 0;
		}
	return -ENOSYS;
}

static void answer_reclaim(struct sym_call *call)
{
	uint64_t pages = 0;

	guest.asked = call->arg[0];
	guest.flags = call->arg[2];
	guest.now += guest.late_ms;
	guest.state.used -= guest.freed_meanwhile;
	if (guest.reset_meanwhile)
		sym_window_reset(window);
	if (guest.other_meanwhile)
		guest.generation++;
	if (!guest.rounds)
		return;
	guest.rounds--;
	for (unsigned int i = 0; i < guest.nr_runs; i++)
		pages += guest.runs[i].count;
	call->value[0] = guest.said ? guest.said : pages;
	call->reply_len = guest.reply_len ? guest.reply_len :
					    guest.nr_runs * sizeof(guest.runs[0]);
	assert_true(call->reply_max >= SYM_CALL_PAYLOAD);
	memcpy(call->reply, guest.runs, SYM_CALL_PAYLOAD);
}

int sym_call_wait(struct sym *sym, unsigned int id, struct sym_call *call)
{
	unsigned int which = call->handler - guest.first_handler;

	assert_true(id < 2 && which < 4);
	assert_int_equal(call->context, SYM_CONTEXT_THREAD);
	assert_true(call->deadline_ms);
	if (id < guest.dead_vcpus)
		return -ESHUTDOWN;
	assert_true(++guest.calls[which] < 10000);
	if (which == SET) {
		guest.level = call->arg[0];
		guest.limit = call->arg[1];
		call->value[0] = guest.reached;
		if (guest.reason) {
			call->reply_len = strlen(guest.reason) + 1;
			strncpy((char *)call->reply, guest.reason, call->reply_max);
		}
		if (guest.times && guest.calls[SET] > (unsigned int)guest.times)
			return 0;
	}
	if (which == STAT && guest.refreshed_writes)
		guest.state.writes = guest.refreshed_writes;
	if (which == RECLAIM) {
		assert_true(call->arg[1] > guest.reclaim_seq);
		guest.reclaim_seq = call->arg[1];
	}
	if (which == RECLAIMED) {
		assert_int_equal(call->arg[0], guest.reclaim_seq);
		if (call->arg[1])
			guest.taken = call->arg[1];
	}
	if (which == RECLAIM && !guest.code[RECLAIM])
		answer_reclaim(call);
	return guest.code[which];
}

uint64_t sym_now_ms(void)
{
	return guest.now;
}

static int region_add(void *vm, uint64_t gpa, uint64_t size, void *host, uint32_t flags)
{
	assert_int_equal(gpa, GPA);
	guest.host = host;
	guest.regions = true;
	return 0;
}

static int region_del(void *vm, uint64_t gpa)
{
	assert_int_equal(gpa, GPA);
	guest.regions = false;
	return 0;
}

static unsigned int nr_vcpus(void *vm)
{
	return 2;
}

static const struct sym_host_ops ops = {
	.version = SYM_HOST_OPS_VERSION,
	.size = sizeof(ops),
	.region_add = region_add,
	.region_del = region_del,
	.nr_vcpus = nr_vcpus,
};

static void on_violation(void *arg, const char *text)
{
	snprintf(guest.violation, sizeof(guest.violation), "%s", text);
}

int create(const char *file, uint64_t limit)
{
	const struct sym_window_config config = {
		.size = sizeof(config),
		.gpa = GPA,
		.bytes = SIZE,
		.limit = limit,
		.level = SYM_WINDOW_BYPASS,
		.file = file,
		.name = "web",
		.violation = on_violation,
	};

	memset(&err, 0, sizeof(err));
	window = NULL;
	return sym_window_create(NULL, &ops, NULL, &config, &window, &err);
}

int setup(void **state)
{
	memset(&guest, 0, sizeof(guest));
	guest.generation = 1;
	guest.first_handler = 10;
	guest.has_state = true;
	guest.reached = SYM_WINDOW_BYPASS;
	guest.now = 1000;
	strcpy(dir, "/tmp/symkit-test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/window", dir);
	window = NULL;
	return 0;
}

int teardown(void **state)
{
	sym_window_destroy(window);
	unlink(path);
	rmdir(dir);
	return 0;
}

int in_memory(void **state)
{
	setup(state);
	return create(NULL, SIZE);
}

int in_file(void **state)
{
	setup(state);
	return create(path, SIZE);
}

void touch(unsigned int first, unsigned int count)
{
	memset((char *)guest.host + first * PAGE, 0x55, count * PAGE);
}

bool holds(unsigned int slot)
{
	return ((char *)guest.host)[slot * PAGE] == 0x55;
}

void reply(unsigned int nr, const struct sym_window_run *runs)
{
	memcpy(guest.runs, runs, nr * sizeof(*runs));
	guest.nr_runs = nr;
	guest.rounds = 1;
}
