// SPDX-License-Identifier: GPL-2.0
/*
 * Running a handler, and the C half of a nested call.  A nested call may have interrupted
 * any code, and the VMM may abandon it in the middle: so nothing here takes a lock, changes
 * preempt_count, or leaves state that must be restored.
 */
#include "symbiotic.h"

/* As entry.S builds it. */
struct sym_nested {
	u64 token;
	u32 number;
	u32 context;
	u64 payload_len;
	u64 arg[SYM_CALL_ARGS];
	s32 status;
	u32 reply_len;
	u64 value[SYM_CALL_RESULTS];
};
static_assert(sizeof(struct sym_nested) == 96);
static_assert(offsetof(struct sym_nested, status) == 72);
static_assert(offsetof(struct sym_nested, value) == 80);
static_assert(offsetof(struct sym_vmm, cookie) == 0);
static_assert(SYM_PORT == 0x7e && SYM_HC_RETURN == 1);

notrace int sym_dispatch(struct sym_slot *slot, u32 number, struct sym_upcall *call)
{
	struct sym_handler *handler = sym_handler_at(number);
	int status;

	WRITE_ONCE(slot->running, handler);
	/* Pairs with the one in sym_handler_unregister(): one side sees the other. */
	smp_mb();
	if (!number || smp_load_acquire(&handler->number) != number)
		status = -ENOSYS;
	else if (!(handler->contexts & call->context))
		status = -EPERM;
	else if (call->payload_len > SYM_CALL_PAYLOAD)
		status = -EMSGSIZE;
	else
		status = handler->fn(handler->arg, call);
	smp_store_release(&slot->running, NULL);

	if (status > 0)
		status = -EIO; /* not a valid status */
	if (call->reply_len > SYM_CALL_PAYLOAD)
		call->reply_len = SYM_CALL_PAYLOAD;
	return status;
}

/* Called from sym_nested_entry. */
notrace void sym_nested_run(struct sym_nested *nested)
{
	struct sym_cpu *cpu = raw_cpu_ptr(&sym_cpus);
	struct sym_upcall call; /* a fast path: clear only the fields that need it */
	int i;

	call.context = nested->context;
	call.payload_len = min_t(u64, nested->payload_len, U32_MAX);
	call.payload = cpu->area->payload[SYM_CALL_NESTED];
	call.reply_len = 0;
	call.result[0] = 0;
	call.result[1] = 0;
	for (i = 0; i < SYM_CALL_ARGS; i++)
		call.arg[i] = nested->arg[i];
	WRITE_ONCE(cpu->nested, nested->token);
	if (call.context == SYM_CONTEXT_EXIT || call.context == SYM_CONTEXT_KICK)
		nested->status = sym_dispatch(&cpu->slot[SYM_CALL_NESTED], nested->number, &call);
	else
		nested->status = -EPERM;
	nested->reply_len = call.reply_len;
	nested->value[0] = call.result[0];
	nested->value[1] = call.result[1];
}
