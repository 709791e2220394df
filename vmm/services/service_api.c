// SPDX-License-Identifier: BSD-2-Clause
/*
 * The functions that services call (symkit/service.h).
 */
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "control/work.h"
#include "core/loop.h"
#include "host/events.h"
#include "host/metrics.h"
#include "services/services.h"
#include "virtio/virtio.h"

struct sym *sym_service_sym(struct sym_service_vm *vm)
{
	return vm->all->vm->sym;
}

const char *sym_service_vm_name(struct sym_service_vm *vm)
{
	return vm->all->vm->config->name;
}

unsigned int sym_service_nr_vcpus(struct sym_service_vm *vm)
{
	return vm->all->vm->nr_vcpus;
}

int sym_service_fail(struct sym_service_vm *vm, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(vm->err.msg, sizeof(vm->err.msg), fmt, ap);
	va_end(ap);
	vm->err.code = code;
	return code;
}

int sym_service_event(struct sym_service_vm *vm, const char *name, const char *data)
{
	json_t *json = data ? json_loads(data, JSON_REJECT_DUPLICATES, NULL) : json_object();

	if (!json_is_object(json)) {
		json_decref(json);
		return -EINVAL;
	}
	json_object_set_new(json, "service", json_string(vm->ops->name));
	events_emit_limited(vm->all->vm->board->events, EVENTS_OF_SERVICE, name, vm->ops->name,
			    json);
	return 0;
}

/* The name of a metric, stored for the registry, or NULL with the error in *@ret. */
static const char *metric_name(struct sym_service_vm *vm, const char *name, const char *end,
			       int *ret)
{
	char *family = vm->metrics[vm->nr_metrics];
	size_t len = strlen(name), end_len = strlen(end);

	if (len >= end_len && !strcmp(name + len - end_len, end))
		end = "";
	*ret = vm->all->running ? -EBUSY : vm->nr_metrics == SERVICE_METRICS ? -ENOSPC : 0;
	if (*ret)
		return NULL;
	*ret = snprintf(family, sizeof(vm->metrics[0]), "service_%s%s", name, end) <
			       (int)sizeof(vm->metrics[0]) ?
		       0 :
		       -EINVAL;
	if (*ret)
		return NULL;
	vm->nr_metrics++;
	return family;
}

int sym_service_counter(struct sym_service_vm *vm, const char *name, const char *help,
			const uint64_t *value)
{
	int ret;
	const char *family = metric_name(vm, name, "_total", &ret);

	return family ? metrics_counter(vm->all->vm->board->metrics, family, help, vm->labels,
					value) :
			ret;
}

static uint64_t get_value(void *arg)
{
	return __atomic_load_n((const uint64_t *)arg, __ATOMIC_RELAXED);
}

int sym_service_gauge(struct sym_service_vm *vm, const char *name, const char *help,
		      const uint64_t *value)
{
	int ret;
	const char *family = metric_name(vm, name, "", &ret);

	return family ? metrics_gauge(vm->all->vm->board->metrics, family, help, vm->labels,
				      get_value, (void *)value) :
			ret;
}

static int run_timer(void *arg, json_t **result, struct err *err)
{
	struct sym_service_timer *timer = arg;

	__atomic_store_n(&timer->queued, false, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&timer->ms, __ATOMIC_SEQ_CST))
		timer->fn(timer->service->state);
	return 0;
}

/* A timer that expires again before its function has run runs once: jobs do not pile up. */
static void on_timer(void *arg, uint32_t events)
{
	struct sym_service_timer *timer = arg;
	uint32_t ms = __atomic_load_n(&timer->ms, __ATOMIC_SEQ_CST);

	if (!ms)
		return;
	loop_arm(timer->source, ms * 1000000ull);
	if (__atomic_exchange_n(&timer->queued, true, __ATOMIC_SEQ_CST))
		return;
	if (work_post(timer->service->all->work, run_timer, timer, NULL))
		__atomic_store_n(&timer->queued, false, __ATOMIC_SEQ_CST);
}

int sym_service_timer_new(struct sym_service_vm *vm, void (*fn)(void *state),
			  struct sym_service_timer **out)
{
	struct sym_service_timer *timer;
	int ret;

	if (vm->all->running)
		return -EBUSY;
	if (vm->nr_timers == SERVICE_TIMERS)
		return -ENOSPC;
	timer = &vm->timers[vm->nr_timers];
	*timer = (struct sym_service_timer){ .service = vm, .fn = fn };
	ret = loop_add_timer(vm->all->vm->board->loop, on_timer, timer, &timer->source);
	if (ret)
		return ret;
	vm->nr_timers++;
	*out = timer;
	return 0;
}

int sym_service_timer_set(struct sym_service_timer *timer, unsigned int ms)
{
	__atomic_store_n(&timer->ms, ms, __ATOMIC_SEQ_CST);
	return loop_arm(timer->source, ms * 1000000ull);
}

/* An upcall whose completion is reported in the services' thread. */
struct service_call {
	struct services *all;
	struct sym_call *call;
	void (*done)(void *arg, struct sym_call *call);
	void *arg;
};

static int run_done(void *arg, json_t **result, struct err *err)
{
	struct service_call *sc = arg;

	sc->call->done = sc->done;
	sc->call->arg_done = sc->arg;
	if (sc->done)
		sc->done(sc->arg, sc->call);
	return 0;
}

static void on_done(void *arg, struct sym_call *call)
{
	struct service_call *sc = arg;

	if (work_post(sc->all->work, run_done, sc, free)) {
		/* Reporting it in the wrong thread is better than never. */
		log_warn("services: too slow, an upcall is completed in another thread");
		run_done(sc, NULL, NULL);
		free(sc);
	}
}

int sym_service_upcall(struct sym_service_vm *vm, unsigned int vcpu, struct sym_call *call)
{
	struct service_call *sc = malloc(sizeof(*sc));
	int ret;

	if (!sc)
		return -ENOMEM;
	*sc = (struct service_call){ vm->all, call, call->done, call->arg_done };
	call->done = on_done;
	call->arg_done = sc;
	ret = sym_call_async(vm->all->vm->sym, vcpu, call);
	if (ret) {
		call->done = sc->done;
		call->arg_done = sc->arg;
		free(sc);
	}
	return ret;
}

const char *sym_service_device_at(struct sym_service_vm *vm, uint64_t port)
{
	return virtio_notify_at(vm->all->vm->board->pci, port);
}

void sym_service_print(struct sym_service_answer *answer, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(answer->f, fmt, ap);
	va_end(ap);
}
