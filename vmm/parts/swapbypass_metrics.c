// SPDX-License-Identifier: BSD-2-Clause
/*
 * Metrics of the window: the VMM's own, and those that the guest shows in its item.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "host/metrics.h"
#include "parts/swapbypass.h"

#define STATE(field) offsetof(struct sym_item_window_state, field)

/* One of the guest's figures. */
struct swapbypass_gauge {
	const struct swapbypass *sb;
	size_t offset;
};

static uint64_t get_size(void *arg)
{
	return ((const struct swapbypass *)arg)->item.size;
}

static uint64_t get_limit(void *arg)
{
	struct sym_item_window item;

	sym_window_get(((const struct swapbypass *)arg)->window, &item);
	return item.limit;
}

static uint64_t get_lent(void *arg)
{
	return sym_window_lent(((const struct swapbypass *)arg)->window);
}

static uint64_t get_returned(void *arg)
{
	return sym_window_idle_returned(((const struct swapbypass *)arg)->window);
}

static uint64_t get_level(void *arg)
{
	struct sym_item_window_state state;

	return sym_window_state(((const struct swapbypass *)arg)->window, &state) ? 0 :
										    state.level;
}

static uint64_t get_state(void *arg)
{
	const struct swapbypass_gauge *gauge = arg;
	struct sym_item_window_state state;
	uint64_t value = 0;

	if (!sym_window_state(gauge->sb->window, &state))
		memcpy(&value, (const char *)&state + gauge->offset, sizeof(value));
	return value;
}

static const struct {
	const char *name;
	const char *help;
	uint64_t (*get)(void *arg);
} own[] = {
	{ "swapbypass_window_bytes", "Size of the window", get_size },
	{ "swapbypass_limit_bytes", "How much of it the guest may use", get_limit },
	{ "swapbypass_lent_bytes", "How much of it the host has allocated", get_lent },
	{ "swapbypass_level", "How the guest uses it: 0 not, 1 device, 2 bypass", get_level },
};

static const struct {
	const char *name;
	const char *help;
	size_t offset;
	bool grows; /* never falls while the guest's module is loaded */
} guests[] = {
	{ "swapbypass_slots", "Pages of the window that the guest may use, as it says",
	  STATE(slots) },
	{ "swapbypass_used", "Those that are in use, as the guest says", STATE(used) },
	{ "swapbypass_idle", "Pages lent that it does not use, as the guest says", STATE(idle) },
	{ "swapbypass_cold", "Pages mapped that were not used for the last seconds, as it says",
	  STATE(cold) },
	{ "swapbypass_mapped", "Those that are mapped in a process, as the guest says",
	  STATE(mapped) },
	{ "swapbypass_maps_total", "Faults served by mapping, as the guest says", STATE(maps),
	  true },
	{ "swapbypass_restores_total", "Mappings taken back, as the guest says", STATE(restores),
	  true },
	{ "swapbypass_passed_total", "Faults left to the guest's kernel, as the guest says",
	  STATE(passed), true },
	{ "swapbypass_reads_total", "Pages read through the device, as the guest says",
	  STATE(reads), true },
	{ "swapbypass_writes_total", "Pages written through the device, as the guest says",
	  STATE(writes), true },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int swapbypass_metrics(struct swapbypass *sb)
{
	struct metrics *m = sb->vm->board->metrics;
	int ret;

	sb->gauges = calloc(COUNT(guests), sizeof(*sb->gauges));
	if (!sb->gauges)
		return -ENOMEM;
	ret = metrics_counter(m, "swapbypass_exits_total",
			      "Exits to userspace for the window; 0 if all is well", NULL,
			      &sb->exits);
	if (!ret)
		ret = metrics_counter_of(m, "swapbypass_idle_returned_bytes_total",
					 "What came back because the guest did not use it", NULL,
					 get_returned, sb);
	for (size_t i = 0; i < COUNT(own) && !ret; i++)
		ret = metrics_gauge(m, own[i].name, own[i].help, NULL, own[i].get, sb);
	for (size_t i = 0; i < COUNT(guests) && !ret; i++) {
		sb->gauges[i] = (struct swapbypass_gauge){ sb, guests[i].offset };
		ret = (guests[i].grows ? metrics_counter_of : metrics_gauge)(
			m, guests[i].name, guests[i].help, NULL, get_state, &sb->gauges[i]);
	}
	return ret;
}
