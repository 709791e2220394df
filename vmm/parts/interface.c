// SPDX-License-Identifier: BSD-2-Clause
/*
 * This VMM's symbiotic interface: its events go into the VM's stream, its counters into the
 * VM's metrics, its exits to sym_handle_exit().
 */
#include "parts/interface.h"

#include <errno.h>
#include <jansson.h>
#include <linux/kvm.h>
#include <string.h>

#include "control/work.h"
#include "core/config.h"
#include "core/kvm.h"
#include "core/layout.h"
#include "host/events.h"
#include "host/metrics.h"
#include "sym/host.h"
#include "sym/host_ops.h"

static void on_event(void *arg, const struct sym_event *event)
{
	static const char *const names[] = {
		[SYM_EVENT_READY] = "symbiotic_ready",	   [SYM_EVENT_GONE] = "symbiotic_gone",
		[SYM_EVENT_CHANGED] = "symbiotic_changed", [SYM_EVENT_TIMEOUT] = "call_timeout",
		[SYM_EVENT_FAULT] = "symbiotic_fault",
	};
	struct part_vm *vm = arg;
	json_t *data = json_pack("{s:i}", "generation", (int)event->generation);

	if (event->vcpu >= 0)
		json_object_set_new(data, "vcpu", json_integer(event->vcpu));
	if (event->type == SYM_EVENT_TIMEOUT)
		json_object_set_new(data, "handler", json_integer(event->value));
	if (event->text[0])
		json_object_set_new(data, "reason", events_text(event->text));
	events_emit_limited(vm->board->events, EVENTS_OF_GUEST, names[event->type], NULL, data);
	if (event->type == SYM_EVENT_READY)
		vm->guest_ready(vm->handle, event->generation);
}

static struct sym_stats stats_of(void *arg)
{
	struct sym_stats stats;

	sym_get_stats(((struct part_vm *)arg)->sym, &stats);
	return stats;
}

static uint64_t stat_hypercalls(void *arg)
{
	return stats_of(arg).hypercalls;
}

static uint64_t stat_refused(void *arg)
{
	return stats_of(arg).refused;
}

static uint64_t stat_timeouts(void *arg)
{
	return stats_of(arg).timeouts;
}

static uint64_t stat_faults(void *arg)
{
	return stats_of(arg).faults;
}

static uint64_t stat_exit(void *arg)
{
	return stats_of(arg).calls[0];
}

static uint64_t stat_interrupt(void *arg)
{
	return stats_of(arg).calls[1];
}

static uint64_t stat_kick(void *arg)
{
	return stats_of(arg).calls[2];
}

static uint64_t stat_thread(void *arg)
{
	return stats_of(arg).calls[3];
}

static const struct {
	const char *name;
	const char *help;
	const char *labels;
	uint64_t (*get)(void *arg);
} counters[] = {
	{ "hypercalls_total", "Hypercalls of the guest's modules", NULL, stat_hypercalls },
	{ "hypercalls_refused_total", "Hypercalls that were refused", NULL, stat_refused },
	{ "symcalls_total", "Upcalls into the guest", "context=\"exit\"", stat_exit },
	{ "symcalls_total", "Upcalls into the guest", "context=\"interrupt\"", stat_interrupt },
	{ "symcalls_total", "Upcalls into the guest", "context=\"kick\"", stat_kick },
	{ "symcalls_total", "Upcalls into the guest", "context=\"thread\"", stat_thread },
	{ "symcall_timeouts_total", "Upcalls past their deadline", NULL, stat_timeouts },
	{ "symbiotic_faults_total", "Interface violations by the guest", NULL, stat_faults },
};

static int make(struct part_vm *vm, struct err *err)
{
	const struct sym_config config = {
		.size = sizeof(config),
		.name = vm->config->name,
		.uuid = vm->uuid,
		.features = SYM_FEATURE_SPY | SYM_FEATURE_CALL | SYM_FEATURE_DOORBELL |
			    SYM_FEATURE_MODULES |
			    (vm->config->swapbypass ? SYM_FEATURE_WINDOW : 0),
		.doorbell_gsi = GSI_DOORBELL,
		.sync_regs = kvm_check(vm->kvm_fd, KVM_CAP_SYNC_REGS),
		.event = on_event,
		.arg = vm,
	};
	int ret = sym_create(vm->ops, vm->handle, &config, &vm->sym);

	for (unsigned int i = 0; i < sizeof(counters) / sizeof(counters[0]) && !ret; i++)
		ret = metrics_counter_of(vm->board->metrics, counters[i].name, counters[i].help,
					 counters[i].labels, counters[i].get, vm);
	if (!ret)
		ret = work_create(vm->board->loop, "upcalls", &vm->work);
	return ret ? err_set(err, ret, "symbiotic interface: %s", strerror(-ret)) : 0;
}

/* It has no state of its own: what it creates is in @vm, for the parts after it. */
static int interface_create(struct part_vm *vm, void **state, struct err *err)
{
	*state = vm;
	return vm->config->symbiotic ? make(vm, err) : 0;
}

static void interface_reset(void *state)
{
	struct part_vm *vm = state;

	if (vm->sym)
		sym_reset(vm->sym);
}

static void interface_stop(void *state)
{
	struct part_vm *vm = state;

	interface_reset(vm); /* ends all waits for the guest */
	work_destroy(vm->work);
	vm->work = NULL;
}

static void interface_destroy(void *state)
{
	struct part_vm *vm = state;

	sym_destroy(vm->sym);
	vm->sym = NULL;
}

static bool interface_exit(void *state, unsigned int vcpu, struct kvm_run *run, int ret)
{
	struct part_vm *vm = state;

	return vm->sym && sym_handle_exit(vm->sym, vcpu, run, ret);
}

const struct part part_interface = {
	.create = interface_create,
	.stop = interface_stop,
	.reset = interface_reset,
	.destroy = interface_destroy,
	.exit = interface_exit,
	.methods = interface_methods,
};
