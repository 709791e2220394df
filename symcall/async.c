// SPDX-License-Identifier: BSD-2-Clause
/*
 * Calls in interrupt and thread context: write a request to the vCPU's call area, raise the
 * doorbell; later the guest reports results by a hypercall.  No vCPU is stopped.
 */
#include <errno.h>
#include <string.h>

#include "symcall/calls.h"

/*
 * An edge that comes while the guest has the line masked, for example to move it to another
 * CPU, is lost: ring again after this many ticks, then after twice as many, and so on.
 */
#define RING_TICKS 8

static void write_request(struct sym_call_request *r, const struct sym_call *call,
			  uint32_t context, uint64_t token)
{
	r->handler = call->handler;
	r->context = context;
	r->payload_len = call->payload_len;
	memcpy(r->arg, call->arg, sizeof(r->arg));
	__atomic_store_n(&r->token, token, __ATOMIC_RELEASE);
}

int async_start(struct call_vcpu *cv, struct sym_call *call, uint32_t context)
{
	struct sym *sym = cv->sym;
	struct sym_call_area *area;
	unsigned int i = SYM_CALL_NESTED + 1;
	uint64_t token = token_make(sym);
	int ret = -EBUSY;

	if (!(sym_granted(sym) & SYM_FEATURE_DOORBELL))
		return -ENODEV;
	pthread_mutex_lock(&cv->lock);
	area = __atomic_load_n(&sym->vcpu[cv->id].area, __ATOMIC_ACQUIRE);
	while (i < SYM_CALL_SLOTS && cv->slot[i].state != SLOT_FREE)
		i++;
	if (!area || !token) {
		ret = -ENODEV;
	} else if (i < SYM_CALL_SLOTS) {
		cv->slot[i] = (struct slot){
			.state = SLOT_PENDING,
			.call = call,
			.token = token,
			.deadline = deadline_tick(sym, call->deadline_ms),
			.ring = READ_ONCE(sym->calls->tick) + RING_TICKS,
			.ring_interval = RING_TICKS,
		};
		if (call->payload_len)
			memcpy(area->payload[i], call->payload, call->payload_len);
		write_request(&area->host.request[i], call, context, token);
		ret = 0;
	}
	pthread_mutex_unlock(&cv->lock);
	if (ret) {
		if (ret == -EBUSY)
			sym_count(&sym->stats.busy);
		return ret;
	}
	sym_count(&sym->stats.calls[context == SYM_CONTEXT_INTERRUPT ? 1 : 3]);
	deadline_start(sym);
	/* If the doorbell fails, the deadline ends the call. */
	sym->ops->doorbell(sym->vm);
	return 0;
}

/* take - the result of slot @i if the guest has posted it; lock held. */
static struct sym_call *take(struct call_vcpu *cv, const struct sym_call_area *area,
			     unsigned int i)
{
	struct slot *slot = &cv->slot[i];
	const struct sym_call_result *posted = &area->guest.result[i];
	struct sym_call *call = slot->call;
	struct sym_call_result r;

	if (slot->state == SLOT_FREE ||
	    __atomic_load_n(&posted->token, __ATOMIC_ACQUIRE) != slot->token)
		return NULL;
	memcpy(&r, posted, sizeof(r));
	*slot = (struct slot){ .state = SLOT_FREE };
	if (!call)
		return NULL;
	call->status = r.status > 0 || r.status < -4095 ? -EPROTO : r.status;
	memcpy(call->value, r.value, sizeof(call->value));
	copy_reply(call, area->payload[i], r.payload_len);
	return call;
}

void async_complete(struct call_vcpu *cv)
{
	struct sym_call *ended[SYM_CALL_SLOTS];
	struct sym_call_area *area;
	unsigned int nr = 0;

	pthread_mutex_lock(&cv->lock);
	area = __atomic_load_n(&cv->sym->vcpu[cv->id].area, __ATOMIC_ACQUIRE);
	for (unsigned int i = SYM_CALL_NESTED + 1; area && i < SYM_CALL_SLOTS; i++) {
		ended[nr] = take(cv, area, i);
		if (ended[nr])
			nr++;
	}
	pthread_mutex_unlock(&cv->lock);
	for (unsigned int i = 0; i < nr; i++)
		call_end(ended[i], ended[i]->status);
}

static void report_late(struct call_vcpu *cv, const struct sym_call *call)
{
	sym_count(&cv->sym->stats.timeouts);
	sym_emit(cv->sym, SYM_EVENT_TIMEOUT, cv->id, call->handler,
		 "the guest did not answer in time");
}

bool async_expire(struct call_vcpu *cv, uint32_t tick)
{
	struct sym_call *late[SYM_CALL_SLOTS];
	unsigned int nr = 0;
	bool waiting = false, ring = false;

	pthread_mutex_lock(&cv->lock);
	for (unsigned int i = SYM_CALL_NESTED + 1; i < SYM_CALL_SLOTS; i++) {
		struct slot *slot = &cv->slot[i];

		if (slot->state != SLOT_PENDING)
			continue;
		if (tick_passed(slot->deadline, tick)) {
			late[nr++] = slot->call;
			slot->call = NULL;
			slot->state = SLOT_LOST;
			continue;
		}
		waiting = true;
		if ((int32_t)(tick - slot->ring) >= 0) {
			ring = true;
			slot->ring_interval *= 2;
			slot->ring = tick + slot->ring_interval;
		}
	}
	pthread_mutex_unlock(&cv->lock);
	if (ring)
		cv->sym->ops->doorbell(cv->sym->vm);
	for (unsigned int i = 0; i < nr; i++) {
		report_late(cv, late[i]);
		call_end(late[i], -ETIMEDOUT);
	}
	return waiting;
}

bool call_withdraw(struct call_vcpu *cv, const struct sym_call *call)
{
	struct sym_call *kick = (struct sym_call *)call;
	bool found = false;

	if (__atomic_compare_exchange_n(&cv->kick, &kick, NULL, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED)) {
		__atomic_store_n(&cv->nested_deadline, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&cv->nested, NESTED_FREE, __ATOMIC_RELEASE);
		return true;
	}
	pthread_mutex_lock(&cv->lock);
	for (unsigned int i = SYM_CALL_NESTED + 1; i < SYM_CALL_SLOTS; i++)
		if (cv->slot[i].state == SLOT_PENDING && cv->slot[i].call == call) {
			cv->slot[i].state = SLOT_LOST;
			cv->slot[i].call = NULL;
			found = true;
		}
	pthread_mutex_unlock(&cv->lock);
	return found;
}

void calls_cancel(struct call_vcpu *cv)
{
	struct sym_call *gone[SYM_CALL_SLOTS], *kick;
	unsigned int nr = 0;
	int closed = NESTED_CLOSED;

	pthread_mutex_lock(&cv->lock);
	for (unsigned int i = 0; i < SYM_CALL_SLOTS; i++) {
		if (cv->slot[i].call)
			gone[nr++] = cv->slot[i].call;
		cv->slot[i] = (struct slot){ .state = SLOT_FREE };
	}
	pthread_mutex_unlock(&cv->lock);
	WRITE_ONCE(cv->cancelled, 1);
	__atomic_compare_exchange_n(&cv->nested, &closed, NESTED_FREE, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
	kick = __atomic_exchange_n(&cv->kick, NULL, __ATOMIC_ACQ_REL);
	if (kick) {
		__atomic_store_n(&cv->nested_deadline, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&cv->nested, NESTED_FREE, __ATOMIC_RELEASE);
		call_end(kick, -ECANCELED);
	}
	for (unsigned int i = 0; i < nr; i++)
		call_end(gone[i], -ECANCELED);
}

void calls_cancel_all(struct sym *sym)
{
	for (unsigned int i = 0; i < sym->nr_vcpus; i++)
		calls_cancel(&sym->calls->vcpu[i]);
}
