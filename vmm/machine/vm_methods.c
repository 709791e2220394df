// SPDX-License-Identifier: BSD-2-Clause
/*
 * The control methods of a VM, each a function and a row of the table at the end.  Those
 * of its parts are in the parts' folders.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "control/control.h"
#include "core/clock.h"
#include "core/config.h"
#include "host/events.h"
#include "host/metrics.h"
#include "machine/vm.h"

static json_t *text_or_null(const char *text)
{
	return text ? events_text(text) : json_null();
}

static json_t *disks_json(const struct vm_config *config)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < config->nr_disks; i++) {
		const struct disk_config *disk = &config->disks[i];

		json_array_append_new(list, json_pack("{s:o, s:b, s:o}", "path",
						      text_or_null(disk->path), "readonly",
						      disk->readonly, "serial",
						      events_text(disk->serial)));
	}
	return list;
}

static json_t *forward_json(const struct net_fwd *fwd)
{
	char ip[16];

	snprintf(ip, sizeof(ip), "%u.%u.%u.%u", fwd->host_ip >> 24, fwd->host_ip >> 16 & 0xff,
		 fwd->host_ip >> 8 & 0xff, fwd->host_ip & 0xff);
	return json_pack("{s:s, s:s, s:i, s:i}", "protocol", fwd->udp ? "udp" : "tcp", "host", ip,
			 "host_port", fwd->host_port, "guest_port", fwd->guest_port);
}

static json_t *net_json(const struct net_config *net)
{
	static const char *const kinds[] = {
		[NET_USER] = "user",
		[NET_TAP] = "tap",
		[NET_UNIX] = "unix",
	};
	json_t *forwards = json_array();

	for (unsigned int i = 0; i < net->nr_fwd; i++)
		json_array_append_new(forwards, forward_json(&net->fwd[i]));
	return json_pack("{s:s, s:o, s:o, s:o}", "kind", kinds[net->kind], "interface",
			 events_text(net->ifname), "path",
			 events_text(net->path ? net->path : ""), "forwards", forwards);
}

static json_t *nets_json(const struct vm_config *config)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < config->nr_nets; i++)
		json_array_append_new(list, net_json(&config->nets[i]));
	return list;
}

static double uptime(const struct vm *vm)
{
	return (clock_boot_ns() - vm->started_ns) / (double)NS_PER_S;
}

static int method_info(struct control_call *call)
{
	struct vm *vm = call->arg;
	const struct vm_config *config = vm->config;
	enum vm_state state;
	unsigned int boots;

	pthread_mutex_lock(&vm->lock);
	state = vm->state;
	boots = vm->boots;
	pthread_mutex_unlock(&vm->lock);
	call->result = json_pack(
		"{s:s, s:s, s:s, s:i, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:s, s:o, s:i, "
		"s:f}",
		"name", config->name, "uuid", vm->uuid, "state", vm_state_name(state), "pid",
		(int)getpid(), "cpus", (int)vm->nr_vcpus, "memory", (json_int_t)config->memory,
		"kernel", text_or_null(config->kernel), "initrd", text_or_null(config->initrd),
		"cmdline", text_or_null(config->cmdline), "disks", disks_json(config), "nets",
		nets_json(config), "symbiotic", config->symbiotic, "initrd_modules",
		vm->shared.image ? vm->shared.image->modules : "", "missing",
		events_text(vm->shared.image ? vm->shared.image->missing : ""), "boots",
		(int)boots, "uptime_s", uptime(vm));
	return call->result ? 0 : -ENOMEM;
}

static int method_stop(struct control_call *call)
{
	struct vm *vm = call->arg;
	bool paused;

	pthread_mutex_lock(&vm->lock);
	paused = vm->state == VM_PAUSED;
	pthread_mutex_unlock(&vm->lock);
	if (paused)
		return err_set(&call->err, -EBUSY,
			       "the VM is paused and cannot shut down: resume it first");
	return vm_power_button(vm);
}

static int method_kill(struct control_call *call)
{
	vm_stop(call->arg, VM_STOP_FORCED, "forced stop over the control socket");
	return 0;
}

static void on_paused(void *arg, int ret)
{
	struct err err = { 0 };

	if (ret == -ETIMEDOUT)
		err_set(&err, ret, "a vCPU did not leave the guest in time");
	else if (ret == -ECANCELED)
		err_set(&err, ret, "the VM was resumed");
	else if (ret)
		err_set(&err, ret, "the VM is not running");
	control_answer(arg, NULL, &err);
}

static int method_pause(struct control_call *call)
{
	int ret = vm_pause_check(call->arg);
	struct control_later *later;
	struct vm *vm = call->arg;

	/* The owner's pause outlasts the other one; it is answered when all are parked. */
	if (ret == -EALREADY && vm->pause.by_hold) {
		later = vm->pause.done ? control_defer(call) : NULL;
		if (vm->pause.done && !later)
			return -ENOMEM;
		vm->pause.by_hold = false;
		if (!later)
			return 0;
		vm->pause.done = on_paused;
		vm->pause.arg = later;
		return CONTROL_LATER;
	}
	if (ret == -EALREADY)
		return err_set(&call->err, ret, "the VM is paused already");
	if (ret)
		return err_set(&call->err, ret, "the VM is not running");
	later = control_defer(call);
	if (!later)
		return -ENOMEM;
	vm_pause(vm, on_paused, later);
	return CONTROL_LATER;
}

static int method_resume(struct control_call *call)
{
	struct vm *vm = call->arg;
	int ret = vm_resume(vm);

	if (ret == -EBUSY) {
		vm->pause.by_hold = true; /* it continues when it can */
		return err_set(&call->err, ret, "%s", vm->pause.held);
	}
	if (ret == -EALREADY || ret == -EINVAL)
		return err_set(&call->err, ret, "the VM is not paused");
	return ret;
}

static int method_metrics(struct control_call *call)
{
	const json_t *param = json_object_get(call->params, "format");
	const char *format = param ? json_string_value(param) : "prometheus";
	struct vm *vm = call->arg;
	char *text;

	if (format && !strcmp(format, "json")) {
		call->result = json_pack("{s:o}", "metrics", metrics_json(vm->board.metrics));
		return call->result ? 0 : -ENOMEM;
	}
	if (!format || strcmp(format, "prometheus"))
		return err_set(&call->err, -EINVAL,
			       "parameter 'format' must be \"prometheus\" or \"json\"");
	text = metrics_text(vm->board.metrics);
	call->result = text ? json_pack("{s:s}", "text", text) : NULL;
	free(text);
	return call->result ? 0 : -ENOMEM;
}

static const char *const metrics_params[] = { "format", NULL };

static const struct control_method vm_methods[] = {
	{ .name = "info", .fn = method_info },
	{ .name = "stop", .fn = method_stop },
	{ .name = "kill", .fn = method_kill },
	{ .name = "pause", .fn = method_pause },
	{ .name = "resume", .fn = method_resume },
	{ .name = "metrics", .params = metrics_params, .fn = method_metrics },
	{ .name = NULL },
};

int vm_control_start(struct vm *vm, struct err *err)
{
	struct control_table tables[VM_NR_PARTS + 1] = { { vm_methods, vm } };
	const struct control_server server = {
		.loop = vm->board.loop,
		.events = vm->board.events,
		.tables = tables,
		.nr_tables = VM_NR_PARTS + 1,
	};

	vm_parts_methods(vm, tables + 1);
	return control_serve(vm->control, &server, err);
}
