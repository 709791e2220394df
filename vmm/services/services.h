/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The services of a VM (see symkit/service.h).  services.c loads and destroys them,
 * service_hooks.c passes exits to them, service_api.c has the functions that they call,
 * service_methods.c the control methods.
 */
#ifndef VMM_SERVICES_SERVICES_H
#define VMM_SERVICES_SERVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/config.h"
#include "core/err.h"
#include "parts/part.h"
#include "symkit/service.h"

#define SERVICE_HOOKS	 32 /* of all services together */
#define SERVICE_TIMERS	 16 /* of one */
#define SERVICE_METRICS	 16
#define SERVICE_NAME_MAX 31

struct control_call;
struct loop_source;
struct work;

struct sym_service_timer {
	struct sym_service_vm *service;
	struct loop_source *source;
	void (*fn)(void *state);
	uint32_t ms; /* atomic; 0: not set */
	bool queued; /* atomic: it has expired, and its function has not run yet */
};

struct sym_service_vm {
	struct services *all;
	void *object; /* of dlopen() */
	const struct sym_service *ops;
	void *state;
	bool ready; /* init has succeeded */
	struct err err; /* of sym_service_fail() */
	struct sym_service_timer timers[SERVICE_TIMERS];
	unsigned int nr_timers;
	char labels[64]; /* of its metrics */
	char metrics[SERVICE_METRICS][64]; /* their names */
	unsigned int nr_metrics;
};

struct service_hook {
	struct sym_service_vm *service;
	enum sym_exit_kind kind;
	uint64_t first, last;
	bool (*fn)(void *state, unsigned int vcpu, struct sym_exit *exit);
};

struct service_hypercall {
	struct sym_service_vm *service;
	uint32_t nr;
	int64_t (*fn)(void *state, unsigned int vcpu, const uint64_t *args);
};

struct services {
	struct part_vm *vm;
	struct work *work; /* the services' thread */
	struct sym_service_vm list[CONFIG_MAX_SERVICES];
	unsigned int nr;
	bool running; /* after init: the tables below do not change any more */
	int subscription; /* to the VM's events; -1: none */

	/* Hooks by kind, each sorted by first address; hypercalls. */
	struct service_hook hooks[SYM_NR_EXIT_KINDS][SERVICE_HOOKS];
	unsigned int nr_hooks[SYM_NR_EXIT_KINDS];
	struct service_hypercall hypercalls[SERVICE_HOOKS];
	unsigned int nr_hypercalls;
	struct sym_hooks sym_hooks;
};

struct sym_service_answer {
	FILE *f;
};

/* service_check - check version, size and contents of @ops; @file is for messages. */
int service_check(const char *file, const struct sym_service *ops, struct err *err);

/* services_hook - pass exits to services from now on (service_hooks.c). */
void services_hook(struct services *services);

/* Their argument is the struct services, NULL if the VM has none. */
extern const struct control_method service_methods[];

#endif
