// SPDX-License-Identifier: GPL-2.0
/* A minimal symbiotic module: a handler that the VMM can call, and a value that it can see. */
#include <linux/err.h>
#include <linux/module.h>

#include <symkit/kernel.h>

static struct sym_handler *handler;

static int example_add(void *arg, struct sym_upcall *call)
{
	call->result[0] = call->arg[0] + call->arg[1];
	return 0;
}

static int __init example_init(void)
{
	static const char hello[] = "ready to add";

	handler = sym_handler_register("example.add", SYM_CONTEXT_ALL, example_add, NULL);
	if (IS_ERR(handler))
		return PTR_ERR(handler);
	return sym_value_set("example.state", hello, sizeof(hello));
}

static void __exit example_exit(void)
{
	sym_value_clear("example.state");
	sym_handler_unregister(handler);
}

module_init(example_init);
module_exit(example_exit);
MODULE_DESCRIPTION("Example of a symbiotic module");
MODULE_LICENSE("GPL");
