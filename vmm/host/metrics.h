/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters and gauges of one VM, shown as Prometheus text.  The owner of a
 * counter keeps it (a plain 64-bit word it adds to, relaxed); the registry
 * only knows where it is.
 */
#ifndef VMM_HOST_METRICS_H
#define VMM_HOST_METRICS_H

#include <jansson.h>
#include <stdint.h>

struct metrics;

/* metrics_create - for VM @vm; the string must stay valid and need no escapes in a label. */
int metrics_create(const char *vm, struct metrics **out);
void metrics_destroy(struct metrics *m);

/*
 * metrics_counter - show *@value as symkit_@name{vm="...",@labels}.  @name and @help are
 * string constants, shared by all label sets of a family; @labels (may be NULL)
 * is copied, e.g. "device=\"blk0\",op=\"read\"".  Set-up only, before the loop
 * runs.  Returns 0 or -ENOMEM.
 */
int metrics_counter(struct metrics *m, const char *name, const char *help, const char *labels,
		    const uint64_t *value);

/*
 * metrics_gauge - the same for a value that goes up and down; @get is called when it is shown
 * (in the loop's thread).  metrics_counter_of - for one that only grows, also by @get.
 */
int metrics_gauge(struct metrics *m, const char *name, const char *help, const char *labels,
		  uint64_t (*get)(void *arg), void *arg);
int metrics_counter_of(struct metrics *m, const char *name, const char *help, const char *labels,
		       uint64_t (*get)(void *arg), void *arg);

/* metrics_text - Prometheus text exposition format; malloc'ed, NULL when out of memory. */
char *metrics_text(const struct metrics *m);

/* metrics_json - array of {name, labels{}, type, value}. */
json_t *metrics_json(const struct metrics *m);

/* counter_add - from any thread. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

#endif
