/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Services: shared objects that symvmm loads (--service FILE[,ARGS]) and that work with a
 * symbiotic guest.  docs/services.md shows how to write one.
 *
 * A service exports one symbol:
 *
 *	SYM_SERVICE = { SYM_SERVICE_HEAD, .name = "hello", .init = hello_init };
 *
 * Threads: init is called before the guest runs.  Exit and hypercall hooks are called in
 * the thread of the vCPU that exits, several at once.  All other functions of all services
 * are called in one thread, one after the other: a service needs locks only for data that
 * its hooks use too, and must not wait long, since the others wait meanwhile.
 *
 * Beside the functions here a service may use those of <sym/host.h> that any thread may
 * call (sym_spy_task(), sym_spy_get(), sym_handler_find(), sym_show(), ...), with
 * sym_service_sym(); from an exit hook also sym_call().  The system call filter is set
 * after init: open files and sockets there.  Functions return 0 or a negative errno unless
 * said otherwise.
 */
#ifndef SYMKIT_SERVICE_H
#define SYMKIT_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sym/host.h"

#ifndef SYM_API
#define SYM_API __attribute__((visibility("default")))
#endif

#define SYM_SERVICE_VERSION 1

struct sym_service_vm; /* the VM, as one service sees it */
struct sym_service_answer; /* the output of a verb */
struct sym_service_timer;

enum sym_service_life {
	SYM_SERVICE_STARTED, /* the vCPUs run */
	SYM_SERVICE_RESET, /* the guest boots again */
	SYM_SERVICE_PAUSED,
	SYM_SERVICE_RESUMED,
	SYM_SERVICE_STOPPED, /* it will not run any more */
	SYM_SERVICE_READY, /* the guest's symbiotic module has registered */
	SYM_SERVICE_GONE, /* it has left */
	SYM_SERVICE_CHANGED, /* its handlers or modules have changed */
};

/* A verb of "symctl service VM NAME VERB ARG...".  0 or a negative errno. */
struct sym_service_verb {
	const char *name; /* NULL ends a table */
	const char *help;
	int (*fn)(void *state, int argc, const char *const *argv,
		  struct sym_service_answer *answer);
};

struct sym_service {
	uint32_t version; /* SYM_SERVICE_VERSION */
	uint32_t size; /* sizeof(struct sym_service) */
	const char *name;
	const char *about; /* one line */
	/* @args is the text after the file's name, or "".  An error ends symvmm. */
	int (*init)(struct sym_service_vm *vm, const char *args, void **state);
	/* All of the following may be NULL. */
	void (*exit)(void *state);
	void (*life)(void *state, enum sym_service_life what);
	const struct sym_service_verb *verbs;
};

#define SYM_SERVICE_HEAD .version = SYM_SERVICE_VERSION, .size = sizeof(struct sym_service)
#define SYM_SERVICE	 SYM_API const struct sym_service sym_service

/* The VM. */
SYM_API struct sym *sym_service_sym(struct sym_service_vm *vm);
SYM_API const char *sym_service_vm_name(struct sym_service_vm *vm);
SYM_API unsigned int sym_service_nr_vcpus(struct sym_service_vm *vm);

/*
 * sym_service_fail - in init or a verb: set an error message, one line; returns @code.
 */
SYM_API int sym_service_fail(struct sym_service_vm *vm, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* sym_service_event - emit an event of the VM; @data is the text of a JSON object. */
SYM_API int sym_service_event(struct sym_service_vm *vm, const char *name, const char *data);

/* In init only: -EBUSY later. */

/*
 * sym_service_hook - call @fn for each exit of @kind from address @first to @last, before
 * the VMM handles it.  If @fn returns true the exit is handled, and no other hook sees it.
 */
SYM_API int sym_service_hook(struct sym_service_vm *vm, enum sym_exit_kind kind, uint64_t first,
			     uint64_t last,
			     bool (*fn)(void *state, unsigned int vcpu, struct sym_exit *exit));

/* sym_service_hypercall - handle hypercall @nr, at least SYM_HC_SERVICE; -EEXIST: taken. */
SYM_API int sym_service_hypercall(struct sym_service_vm *vm, uint32_t nr,
				  int64_t (*fn)(void *state, unsigned int vcpu,
						const uint64_t *args));

/*
 * sym_service_counter - show *@value, which only grows, among the VM's metrics, as
 * symkit_service_@name{vm="...",service="..."}; "_total" is appended to the name if it does
 * not end with that.  sym_service_gauge - the same for a value that goes up and down, with
 * its name unchanged.  @help and @value must stay valid.  In init() only (-EBUSY later); 16
 * in all (-ENOSPC).
 */
SYM_API int sym_service_counter(struct sym_service_vm *vm, const char *name, const char *help,
				const uint64_t *value);
SYM_API int sym_service_gauge(struct sym_service_vm *vm, const char *name, const char *help,
			      const uint64_t *value);

/* sym_service_timer_new - create a timer, not set.  It is freed with the service. */
SYM_API int sym_service_timer_new(struct sym_service_vm *vm, void (*fn)(void *state),
				  struct sym_service_timer **timer);

/* At any time. */

/* sym_service_timer_set - run its function every @ms milliseconds from now on; 0: stop. */
SYM_API int sym_service_timer_set(struct sym_service_timer *timer, unsigned int ms);

/*
 * sym_service_upcall - sym_call_async(), with call->done called in the services' thread.
 * A service can also use sym_call_wait(), but all other services wait meanwhile.
 */
SYM_API int sym_service_upcall(struct sym_service_vm *vm, unsigned int vcpu,
			       struct sym_call *call);

/*
 * sym_service_device_at - the name of the virtio device whose notification port is @port
 * ("blk0"), or NULL.  Writes to the port exit to userspace with --disk FILE,notify=exit.
 */
SYM_API const char *sym_service_device_at(struct sym_service_vm *vm, uint64_t port);

/* sym_service_print - add to a verb's output: text, or the text of JSON. */
SYM_API void sym_service_print(struct sym_service_answer *answer, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
