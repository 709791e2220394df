// SPDX-License-Identifier: BSD-2-Clause
/*
 * Building a machine.  The order here is the order on the PCI bus, so a
 * guest finds its disks first, then its network cards.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "control/control.h"
#include "core/config.h"
#include "core/layout.h"
#include "devices/pci.h"
#include "devices/platform.h"
#include "devices/pm_timer.h"
#include "devices/pvpanic.h"
#include "devices/serial.h"
#include "host/console.h"
#include "host/metrics.h"
#include "machine/vcpu.h"
#include "machine/vm.h"
#include "virtio/virtio.h"

static int make_uuid(char out[37], struct err *err)
{
	uint8_t b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return err_errno(err, "getrandom");
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 4122, version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
	return 0;
}

static void on_console_quit(void *arg)
{
	vm_stop(arg, VM_STOP_FORCED, "stopped from its console");
}

static int make_console(struct vm *vm, struct err *err)
{
	char path[128];
	int ret = control_runtime_path(vm->control, "console", path, sizeof(path), err);

	return ret ? ret :
		     console_create(vm->board.loop, vm->config->console,
				    vm->config->console_limit, path, on_console_quit, vm,
				    &vm->board.console, err);
}

static uint64_t guest_resident(void *arg)
{
	return gmem_resident(&((const struct vm *)arg)->board.mem);
}

static uint64_t guest_size(void *arg)
{
	const struct vm *vm = arg;

	return vm->board.mem.size;
}

static int add_metrics(struct vm *vm, struct err *err)
{
	int ret;

	ret = metrics_gauge(vm->board.metrics, "guest_memory_bytes", "Size of guest RAM", NULL,
			    guest_size, vm);
	if (!ret)
		ret = metrics_gauge(vm->board.metrics, "guest_memory_resident_bytes",
				    "Guest RAM that the host has allocated", NULL, guest_resident,
				    vm);
	for (unsigned int i = 0; i < vm->nr_vcpus && !ret; i++) {
		struct vcpu *vcpu = vcpu_alloc(vm, i);

		if (!vcpu)
			ret = -ENOMEM;
		for (unsigned int r = 0; r < VCPU_MAX_EXIT && !ret; r++) {
			const char *name = vcpu_exit_name(r);
			char labels[64];

			if (!name)
				continue;
			snprintf(labels, sizeof(labels), "vcpu=\"%u\",reason=\"%s\"", i, name);
			ret = metrics_counter(vm->board.metrics, "vcpu_exits_total",
					      "Exits to userspace by kind", labels,
					      &vcpu->exits[r]);
		}
	}
	return ret ? err_set(err, ret, "metrics: out of memory") : 0;
}

static int add_devices(struct vm *vm, struct err *err)
{
	const struct vm_config *config = vm->config;
	int ret = pvpanic_create(&vm->board, err);

	for (unsigned int i = 0; i < config->nr_disks && !ret; i++)
		ret = virtio_blk_create(&vm->board, &config->disks[i], i, err);
	for (unsigned int i = 0; i < config->nr_nets && !ret; i++)
		ret = virtio_net_create(&vm->board, &config->nets[i], i, err);
	if (!ret && config->rng)
		ret = virtio_rng_create(&vm->board, err);
	if (!ret && config->console_virtio)
		ret = virtio_console_create(&vm->board, err);
	if (!ret && config->vsock_cid) {
		char path[128];

		ret = config->vsock_path ?
			      0 :
			      control_runtime_path(vm->control, "vsock", path, sizeof(path), err);
		if (!ret)
			ret = virtio_vsock_create(&vm->board, config->vsock_cid,
						  config->vsock_path ? config->vsock_path : path,
						  err);
	}
	return ret;
}

int vm_build(struct vm *vm, struct err *err)
{
	int ret = make_uuid(vm->uuid, err);

	bus_init(&vm->board.pio);
	bus_init(&vm->board.mmio);
	if (!ret)
		ret = gmem_create(&vm->board.mem, vm->config->memory, err);
	if (!ret)
		ret = add_metrics(vm, err);
	if (!ret)
		ret = make_console(vm, err);
	if (!ret)
		ret = platform_create(&vm->board, &vm->board.platform, err);
	if (!ret)
		ret = pm_timer_create(&vm->board, &vm->pm_timer, err);
	if (!ret)
		ret = serial_create(&vm->board, &vm->serial, err);
	if (!ret)
		ret = pci_bus_create(&vm->board, &vm->board.pci, err);
	if (!ret)
		ret = add_devices(vm, err);
	if (ret)
		return ret;
	vm->doorbell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return vm->doorbell_fd < 0 ? err_errno(err, "eventfd") : 0;
}

void vm_unbuild(struct vm *vm)
{
	pci_bus_destroy(vm->board.pci);
	serial_destroy(vm->serial);
	pm_timer_destroy(vm->pm_timer);
	platform_destroy(vm->board.platform);
	console_destroy(vm->board.console);
	if (vm->doorbell_fd >= 0)
		close(vm->doorbell_fd);
	gmem_destroy(&vm->board.mem);
	bus_destroy(&vm->board.pio);
	bus_destroy(&vm->board.mmio);
	irq_destroy(&vm->board.irq);
}

int vm_connect(struct vm *vm, struct err *err)
{
	int ret = irq_bind(&vm->board.irq, vm->board.vm_fd);

	if (!ret)
		ret = irq_attach(&vm->board.irq, GSI_DOORBELL, vm->doorbell_fd);
	if (ret)
		return err_set(err, ret, "/dev/kvm: refused the interrupt routes");
	ret = platform_bind(vm->board.platform, err);
	return ret ? ret : serial_bind(vm->serial, err);
}
