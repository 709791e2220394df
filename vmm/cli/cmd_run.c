// SPDX-License-Identifier: BSD-2-Clause
/*
 * symvmm run: boot a guest and wait until it stops.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "machine/vm.h"

int cmd_run(int argc, char **argv)
{
	struct vm_config config;
	struct err err = { 0 };
	bool usage;
	int ret;

	vm_config_init(&config);
	ret = process_prepare(&err);
	if (!ret)
		ret = options_parse(&config, argc, argv, &err);
	usage = ret == -EINVAL;
	if (!ret)
		ret = process_close_others(&config, &err);
	if (ret == 1) {
		printf("usage: symvmm run --kernel FILE [OPTION...]\n\n");
		settings_help();
		printf("\nExit status: 0 the guest powered off or was stopped, 1 error, "
		       "2 usage,\n10 kernel panic, 11 triple fault, 12 KVM error.\n");
		ret = 0;
	} else if (!ret) {
		ret = vm_run(&config, &err);
	}
	vm_config_free(&config);
	if (err.msg[0])
		err_print(&err);
	if (ret < 0)
		return usage ? EXIT_USAGE : 1;
	return vm_stop_status(ret);
}
