// SPDX-License-Identifier: GPL-2.0
/* Handlers for the system tests: one for each situation that a call can meet. */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/hardirq.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include <symkit/kernel.h>

#include "symtest.h"

#define NESTED (SYM_CONTEXT_EXIT | SYM_CONTEXT_KICK)

static uint plus;
module_param(plus, uint, 0444);
MODULE_PARM_DESC(plus, "added to the sum that symtest.echo returns");

/* The sum of the first two arguments, the XOR of all, and the payload backwards. */
static int symtest_echo(void *arg, struct sym_upcall *call)
{
	u32 len = min(call->payload_len, SYM_CALL_PAYLOAD), i;
	u8 *text = call->payload;

	call->result[0] = call->arg[0] + call->arg[1] + plus;
	for (i = 0; i < SYM_CALL_ARGS; i++)
		call->result[1] ^= call->arg[i];
	for (i = 0; i < len / 2; i++)
		swap(text[i], text[len - 1 - i]);
	call->reply_len = len;
	return 0;
}

static int symtest_error(void *arg, struct sym_upcall *call)
{
	return -(int)call->arg[0];
}

static int symtest_hang(void *arg, struct sym_upcall *call)
{
	for (;;)
		cpu_relax();
	return 0;
}

static int symtest_sleep(void *arg, struct sym_upcall *call)
{
	msleep(call->arg[0]);
	return 0;
}

/*
 * The context that it runs in.  result[0]: bit 0: in a hard interrupt, 1: interrupts off,
 * 2: RCU watches, 3: in a task that may sleep; 63:32: the CPU.  result[1]: the task's pid.
 */
static int symtest_context(void *arg, struct sym_upcall *call)
{
	u64 bits = 0;

	if (in_hardirq())
		bits |= BIT(0);
	if (irqs_disabled())
		bits |= BIT(1);
	if (rcu_is_watching())
		bits |= BIT(2);
	if (in_task() && !irqs_disabled() && !in_atomic())
		bits |= BIT(3);
	call->result[0] = bits | (u64)raw_smp_processor_id() << 32;
	call->result[1] = current->pid;
	return 0;
}

static const struct {
	const char *name;
	u32 contexts;
	sym_handler_fn fn;
} symtest_table[] = {
	{ "symtest.echo", SYM_CONTEXT_ALL, symtest_echo },
	{ "symtest.exit_only", SYM_CONTEXT_EXIT, symtest_echo },
	{ "symtest.kick_only", SYM_CONTEXT_KICK, symtest_echo },
	{ "symtest.irq_only", SYM_CONTEXT_INTERRUPT, symtest_echo },
	{ "symtest.thread_only", SYM_CONTEXT_THREAD, symtest_echo },
	{ "symtest.error", SYM_CONTEXT_ALL, symtest_error },
	{ "symtest.hang", NESTED, symtest_hang },
	{ "symtest.sleep", SYM_CONTEXT_THREAD, symtest_sleep },
	{ "symtest.context", SYM_CONTEXT_ALL, symtest_context },
};

static struct sym_handler *symtest_handlers[ARRAY_SIZE(symtest_table)];

static void symtest_unregister(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(symtest_table); i++)
		sym_handler_unregister(symtest_handlers[i]);
}

static int __init symtest_init(void)
{
	int i, err;

	for (i = 0; i < ARRAY_SIZE(symtest_table); i++) {
		symtest_handlers[i] = sym_handler_register(symtest_table[i].name,
							   symtest_table[i].contexts,
							   symtest_table[i].fn, NULL);
		if (IS_ERR(symtest_handlers[i])) {
			err = PTR_ERR(symtest_handlers[i]);
			goto fail;
		}
	}
	err = symtest_exits_init();
	if (err)
		goto fail;
	return 0;
fail:
	symtest_unregister();
	return err;
}

static void __exit symtest_exit(void)
{
	symtest_exits_exit();
	symtest_unregister();
}

module_init(symtest_init);
module_exit(symtest_exit);
MODULE_DESCRIPTION("Handlers and exits for the tests of symbiotic");
MODULE_LICENSE("GPL");
