// SPDX-License-Identifier: BSD-2-Clause
/*
 * pressure: watches the guest's memory from outside, and emits an event when the available
 * part falls below LOW percent, and another when it has risen above HIGH again.
 *
 *	--service pressure.so,LOW[,HIGH]	in percent; default: 10, and LOW * 1.5
 *
 * Between LOW and HIGH there is no event, so that a guest near the limit does not cause many.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <symkit/service.h>

#define PERIOD_MS 500

static struct {
	struct sym_service_vm *vm;
	unsigned int low, high; /* percent */
	uint64_t pressed; /* 1: memory is low; a gauge */
	uint64_t events;
	struct sym_item_memory last;
} pressure;

static void raise_event(const char *state, const struct sym_item_memory *mem)
{
	char data[256];

	snprintf(data, sizeof(data),
		 "{\"state\":\"%s\",\"total\":%llu,\"available\":%llu,\"swap_total\":%llu,"
		 "\"swap_free\":%llu}",
		 state, (unsigned long long)mem->total & INT64_MAX,
		 (unsigned long long)mem->available & INT64_MAX,
		 (unsigned long long)mem->swap_total & INT64_MAX,
		 (unsigned long long)mem->swap_free & INT64_MAX);
	__atomic_add_fetch(&pressure.events, 1, __ATOMIC_RELAXED);
	sym_service_event(pressure.vm, "memory_pressure", data);
}

static void set_pressed(uint64_t pressed)
{
	__atomic_store_n(&pressure.pressed, pressed, __ATOMIC_RELAXED);
}

static void look(void *state)
{
	struct sym_item_memory mem;
	double share;

	/* The guest writes these figures by itself; this makes no call. */
	if (sym_spy_get(sym_service_sym(pressure.vm), SYM_ITEM_MEMORY, &mem, sizeof(mem)) ||
	    !mem.total)
		return;
	pressure.last = mem;
	share = 100.0 * mem.available / mem.total;
	if (!pressure.pressed && share < pressure.low) {
		set_pressed(1);
		raise_event("low", &mem);
	} else if (pressure.pressed && share >= pressure.high) {
		set_pressed(0);
		raise_event("recovered", &mem);
	}
}

static void pressure_life(void *state, enum sym_service_life what)
{
	if (what == SYM_SERVICE_GONE)
		set_pressed(0);
}

static int verb_stat(void *state, int argc, const char *const *argv,
		     struct sym_service_answer *answer)
{
	sym_service_print(answer,
			  "{\"pressed\":%s,\"low\":%u,\"high\":%u,\"total\":%llu,"
			  "\"available\":%llu}\n",
			  pressure.pressed ? "true" : "false", pressure.low, pressure.high,
			  (unsigned long long)pressure.last.total & INT64_MAX,
			  (unsigned long long)pressure.last.available & INT64_MAX);
	return 0;
}

static int pressure_init(struct sym_service_vm *vm, const char *args, void **state)
{
	struct sym_service_timer *timer;
	int ret;

	pressure.vm = vm;
	pressure.low = 10;
	if (*args && sscanf(args, "%u,%u", &pressure.low, &pressure.high) < 1)
		return sym_service_fail(vm, -EINVAL, "arguments: LOW[,HIGH], in percent");
	if (!pressure.high)
		pressure.high = pressure.low + pressure.low / 2;
	if (!pressure.low || pressure.high < pressure.low || pressure.high > 100)
		return sym_service_fail(vm, -EINVAL,
					"LOW and HIGH: from 1 to 100, in this order");
	ret = sym_service_counter(vm, "pressure_events_total", "Events of memory pressure",
				  &pressure.events);
	if (!ret)
		ret = sym_service_gauge(vm, "pressure_low", "1 while the guest's memory is low",
					&pressure.pressed);
	if (!ret)
		ret = sym_service_timer_new(vm, look, &timer);
	return ret ? ret : sym_service_timer_set(timer, PERIOD_MS);
}

static const struct sym_service_verb verbs[] = {
	{ "stat", "the figures, as JSON", verb_stat },
	{ NULL, NULL, NULL },
};

SYM_SERVICE = {
	SYM_SERVICE_HEAD,
	.name = "pressure",
	.about = "events when the guest's memory runs low",
	.init = pressure_init,
	.life = pressure_life,
	.verbs = verbs,
};
