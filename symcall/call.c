// SPDX-License-Identifier: BSD-2-Clause
/*
 * Making a call: checking it, starting it in its context, and waiting for it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "symcall/calls.h"

/* How long to wait beyond a call's own deadline, for the deadline thread to end it. */
#define GRACE_MS 2000

int check_call(struct sym *sym, const struct sym_call *call, uint32_t context)
{
	uint32_t contexts;

	if (call->payload_len > SYM_CALL_PAYLOAD)
		return -EINVAL;
	if (!sym_generation(sym))
		return -ENODEV;
	contexts = sym_handler_contexts(sym, call->handler);
	if (!contexts)
		return -ENOSYS;
	return contexts & context ? 0 : -EPERM;
}

void copy_reply(struct sym_call *call, const uint8_t *payload, uint32_t len)
{
	if (len > SYM_CALL_PAYLOAD)
		len = SYM_CALL_PAYLOAD;
	if (!call->reply)
		len = 0;
	else if (len > call->reply_max)
		len = call->reply_max;
	if (len)
		memcpy(call->reply, payload, len);
	call->reply_len = len;
}

void call_end(struct sym_call *call, int status)
{
	call->status = status;
	call->done(call->arg_done, call);
}

/* claim - claim this vCPU for a nested call. */
static int claim(struct call_vcpu *cv)
{
	int expected = NESTED_FREE;

	if (__atomic_compare_exchange_n(&cv->nested, &expected, NESTED_CLAIMED, false,
					__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return 0;
	if (expected == NESTED_CLOSED)
		return -ESHUTDOWN;
	sym_count(&cv->sym->stats.busy);
	return -EBUSY;
}

int sym_call(struct sym *sym, unsigned int id, struct sym_call *call)
{
	struct call_vcpu *cv = &sym->calls->vcpu[id];
	int ret = id < sym->nr_vcpus ? check_call(sym, call, SYM_CONTEXT_EXIT) : -EINVAL;

	if (!ret && (call->context & ~SYM_CONTEXT_EXIT))
		ret = -EPERM;
	if (!ret && cv->at == AT_NONE)
		ret = -EBUSY; /* the exit was made by a handler */
	if (!ret)
		ret = claim(cv);
	if (ret)
		return call->status = ret;
	if (cv->at == AT_EXIT) {
		if (!cv->exit->handled)
			sym->ops->handle_exit(sym->vm, cv->vcpu);
		cv->at = AT_EXIT_DONE;
	}
	sym_count(&sym->stats.calls[0]);
	return call->status = nested_run(cv, call, SYM_CONTEXT_EXIT);
}

static int start_kick(struct sym *sym, struct call_vcpu *cv, struct sym_call *call)
{
	void *vcpu = sym->ops->vcpu(sym->vm, cv->id);
	int ret = vcpu ? claim(cv) : -ENODEV;

	if (ret)
		return ret;
	sym_count(&sym->stats.calls[2]);
	__atomic_store_n(&cv->nested_deadline, deadline_tick(sym, call->deadline_ms),
			 __ATOMIC_SEQ_CST);
	deadline_start(sym);
	__atomic_store_n(&cv->kick, call, __ATOMIC_SEQ_CST);
	/* The registration may have ended since the check, and the cancellation be over. */
	if (!__atomic_load_n(&sym->vcpu[cv->id].area, __ATOMIC_SEQ_CST) &&
	    call_withdraw(cv, call))
		return -ECANCELED;
	/* If the kick fails, the deadline ends the call. */
	sym->ops->kick(sym->vm, vcpu);
	return 0;
}

/* pick_context - a context of the handler, for a caller that names none. */
static uint32_t pick_context(const struct sym *sym, const struct sym_call *call)
{
	uint32_t contexts = sym_handler_contexts(sym, call->handler);

	if (call->context)
		return call->context;
	return contexts & SYM_CONTEXT_INTERRUPT ? SYM_CONTEXT_INTERRUPT : SYM_CONTEXT_THREAD;
}

int sym_call_async(struct sym *sym, unsigned int id, struct sym_call *call)
{
	uint32_t context = pick_context(sym, call);
	struct call_vcpu *cv;
	int ret;

	if (id >= sym->nr_vcpus || !call->done || context & (context - 1))
		return call->status = -EINVAL;
	cv = &sym->calls->vcpu[id];
	ret = check_call(sym, call, context);
	if (!ret && context == SYM_CONTEXT_EXIT)
		ret = -EPERM; /* only the vCPU's own thread can do that */
	if (!ret && READ_ONCE(sym->calls->paused))
		ret = -EAGAIN;
	if (!ret && !__atomic_load_n(&sym->vcpu[id].area, __ATOMIC_ACQUIRE))
		ret = -ENODEV;
	if (!ret)
		ret = context == SYM_CONTEXT_KICK ? start_kick(sym, cv, call) :
						    async_start(cv, call, context);
	/* If it has started, it may have ended and been freed. */
	if (ret)
		call->status = ret;
	return ret;
}

/* A thread that waits for a call. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void wake(void *arg, struct sym_call *call)
{
	struct waiter *waiter = arg;

	pthread_mutex_lock(&waiter->lock);
	waiter->done = true;
	pthread_cond_signal(&waiter->cond);
	pthread_mutex_unlock(&waiter->lock);
}

static void add_ms(struct timespec *ts, uint64_t ms)
{
	uint64_t ns = ts->tv_nsec + ms % 1000 * 1000000;

	ts->tv_sec += ms / 1000 + ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;
}

int sym_call_wait(struct sym *sym, unsigned int id, struct sym_call *call)
{
	struct waiter waiter = { .lock = PTHREAD_MUTEX_INITIALIZER };
	uint32_t ms = call->deadline_ms ? call->deadline_ms : SYM_CALL_DEADLINE_MS;
	struct timespec until;
	pthread_condattr_t attr;
	int ret;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&waiter.cond, &attr);
	pthread_condattr_destroy(&attr);
	call->done = wake;
	/* cppcheck-suppress autoVariables ; it is done before this returns */
	call->arg_done = &waiter;
	ret = sym_call_async(sym, id, call);
	if (!ret) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		add_ms(&until, ms + GRACE_MS);
		pthread_mutex_lock(&waiter.lock);
		while (!waiter.done) {
			if (pthread_cond_timedwait(&waiter.cond, &waiter.lock, &until) !=
			    ETIMEDOUT)
				continue;
			/* The VM is paused, or the vCPU's thread does not return. */
			pthread_mutex_unlock(&waiter.lock);
			if (call_withdraw(&sym->calls->vcpu[id], call))
				call_end(call, -ETIMEDOUT);
			clock_gettime(CLOCK_MONOTONIC, &until);
			add_ms(&until, GRACE_MS);
			pthread_mutex_lock(&waiter.lock);
		}
		pthread_mutex_unlock(&waiter.lock);
		ret = call->status;
	}
	pthread_cond_destroy(&waiter.cond);
	pthread_mutex_destroy(&waiter.lock);
	return ret;
}
