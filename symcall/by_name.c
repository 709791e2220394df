// SPDX-License-Identifier: BSD-2-Clause
/*
 * Calling a handler by its name, on any vCPU, as soon as the guest takes the call.
 */
#include <errno.h>
#include <time.h>

#include "symbiotic/sym.h"

#define BUSY_TRIES    100
#define BUSY_PAUSE_NS 10000000

/* One try on vCPU @id.  Look the number up each time: the guest may have a new module by now. */
static int try(struct sym *sym, const char *name, unsigned int id, struct sym_call *call)
{
	struct sym_item_handler handler;
	int ret = sym_handler_find(sym, name, &handler);

	if (ret)
		return call->status = ret;
	call->handler = handler.number;
	call->context = SYM_CONTEXT_THREAD;
	call->reply_len = 0;
	return sym_call_wait(sym, id, call);
}

int sym_call_by_name(struct sym *sym, const char *name, unsigned int *id, struct sym_call *call)
{
	static const struct timespec pause = { .tv_nsec = BUSY_PAUSE_NS };
	uint32_t deadline_ms = call->deadline_ms ? call->deadline_ms : SYM_CALL_DEADLINE_MS;
	uint64_t until = sym_now_ms() + deadline_ms, now;
	unsigned int busy = 0;
	int ret;

	for (;;) {
		now = sym_now_ms();
		if (now >= until) {
			ret = -ETIMEDOUT;
			break;
		}
		call->deadline_ms = until - now;
		ret = try(sym, name, *id, call);
		if ((ret == -EBUSY || ret == -EAGAIN) && busy++ < BUSY_TRIES)
			nanosleep(&pause, NULL);
		else if ((ret == -ENODEV || ret == -ESHUTDOWN) && *id + 1 < sym_nr_vcpus(sym))
			++*id;
		else
			break;
	}
	call->deadline_ms = deadline_ms;
	return call->status = ret;
}

const char *sym_call_strerror(int code)
{
	switch (code) {
	case -ENODEV:
		return "the guest is not ready: no symbiotic module has registered there";
	case -ENOSYS:
		return "the guest has no such handler";
	case -EBUSY:
		return "the guest is busy with other calls";
	case -EAGAIN:
		return "the guest is paused, or in a state in which it cannot be called";
	case -ETIMEDOUT:
		return "the guest did not answer in time";
	case -ESHUTDOWN:
		return "the guest no longer takes calls, since one timed out";
	case -ECANCELED:
		return "the guest was reset meanwhile, or its module left";
	case -EPROTO:
		return "the guest's answer is not valid";
	default:
		return NULL;
	}
}
