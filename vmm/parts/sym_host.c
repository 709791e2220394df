// SPDX-License-Identifier: BSD-2-Clause
/*
 * The order in which the parts above the symbiotic interface come and go.
 */
#include "parts/sym_host.h"

#include <errno.h>
#include <string.h>

#include "core/config.h"
#include "machine/vm.h"
#include "sym/host.h"
#include "services/services.h"
#include "parts/swapbypass.h"
#include "control/work.h"

int sym_host_create(struct vm *vm, struct err *err)
{
	int ret = work_create(vm->loop, "upcalls", &vm->work);

	if (ret)
		return err_set(err, ret, "worker thread: %s", strerror(-ret));
	ret = services_create(vm, err);
	/* Above all regions that a service has asked for. */
	return ret ? ret : swapbypass_create(vm, err);
}

void sym_host_destroy(struct vm *vm)
{
	/* Whatever waits for the guest waits no longer. */
	if (vm->sym)
		sym_reset(vm->sym);
	services_destroy(vm);
	swapbypass_stop(vm);
	work_destroy(vm->work);
	vm->work = NULL;
	swapbypass_destroy(vm);
}
