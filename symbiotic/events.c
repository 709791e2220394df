// SPDX-License-Identifier: BSD-2-Clause
/*
 * Events for the VMM, and small accessors.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "symbiotic/sym.h"

/* A guest that violates the interface again and again must not flood the log. */
#define FAULT_BURST	8
#define FAULT_REFILL_MS 1000

uint64_t sym_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

unsigned int sym_nr_vcpus(const struct sym *sym)
{
	return sym->nr_vcpus;
}

uint32_t sym_generation(const struct sym *sym)
{
	return __atomic_load_n(&sym->generation, __ATOMIC_ACQUIRE);
}

uint32_t sym_granted(const struct sym *sym)
{
	return READ_ONCE(sym->granted);
}

void sym_emit(struct sym *sym, enum sym_event_type type, int vcpu, uint64_t value,
	      const char *text)
{
	const struct sym_event event = {
		.type = type,
		.generation = READ_ONCE(sym->last_generation),
		.vcpu = vcpu,
		.value = value,
		.text = text,
	};

	if (sym->event)
		sym->event(sym->event_arg, &event);
}

static bool may_tell(struct sym *sym)
{
	uint64_t now = sym_now_ms();
	uint64_t refill;
	bool may;

	pthread_mutex_lock(&sym->lock);
	refill = (now - sym->fault_ms) / FAULT_REFILL_MS;
	if (refill) {
		sym->fault_budget = sym->fault_budget + refill > FAULT_BURST ?
					    FAULT_BURST :
					    sym->fault_budget + refill;
		sym->fault_ms = now;
	}
	may = sym->fault_budget > 0;
	if (may)
		sym->fault_budget--;
	pthread_mutex_unlock(&sym->lock);
	return may;
}

void sym_fault(struct sym *sym, int vcpu, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	sym_count(&sym->stats.faults);
	if (!may_tell(sym))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sym_emit(sym, SYM_EVENT_FAULT, vcpu, 0, text);
}

void sym_get_stats(struct sym *sym, struct sym_stats *stats)
{
	*stats = sym->stats;
}
