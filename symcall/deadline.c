// SPDX-License-Identifier: BSD-2-Clause
/*
 * The clock of deadlines.  A thread counts ticks while calls are in flight and kicks a vCPU
 * whose handler is late; a call only stores the tick of its deadline.  So a call needs no
 * system call, and an idle VM no wake-ups.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "symcall/calls.h"

#define IDLE_TICKS 200 /* sleep after this many without work */

void deadline_start_slow(struct sym *sym)
{
	struct calls *calls = sym->calls;

	pthread_mutex_lock(&calls->lock);
	__atomic_store_n(&calls->asleep, 0, __ATOMIC_SEQ_CST);
	pthread_cond_signal(&calls->cond);
	pthread_mutex_unlock(&calls->lock);
}

/* check_nested - true: a handler runs, or a kick is pending. */
static bool check_nested(struct sym *sym, struct call_vcpu *cv, uint32_t tick)
{
	uint64_t deadline = __atomic_load_n(&cv->nested_deadline, __ATOMIC_SEQ_CST);
	struct sym_call *kick;
	void *vcpu;

	if (!deadline)
		return false;
	if (!tick_passed(deadline, tick))
		return true;
	kick = __atomic_load_n(&cv->kick, __ATOMIC_ACQUIRE);
	/* The next call may have started. */
	if (__atomic_load_n(&cv->nested_deadline, __ATOMIC_SEQ_CST) != deadline)
		return true;
	if (kick) {
		if (call_withdraw(cv, kick))
			call_end(kick, -ETIMEDOUT);
		return true;
	}
	WRITE_ONCE(cv->expired, (uint32_t)(deadline >> 32));
	vcpu = sym->ops->vcpu(sym->vm, cv->id);
	if (vcpu)
		sym->ops->kick(sym->vm, vcpu);
	return true;
}

static bool check_all(struct sym *sym, uint32_t tick)
{
	bool busy = false;

	for (unsigned int i = 0; i < sym->nr_vcpus; i++) {
		busy |= check_nested(sym, &sym->calls->vcpu[i], tick);
		busy |= async_expire(&sym->calls->vcpu[i], tick);
	}
	return busy;
}

/* wait_for_work - set the flag first, then check once more, so that no call is missed. */
static void wait_for_work(struct sym *sym)
{
	struct calls *calls = sym->calls;

	__atomic_store_n(&calls->asleep, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&calls->lock);
	if (check_all(sym, calls->tick)) {
		__atomic_store_n(&calls->asleep, 0, __ATOMIC_SEQ_CST);
		pthread_mutex_lock(&calls->lock);
		return;
	}
	pthread_mutex_lock(&calls->lock);
	while (!calls->quit && calls->asleep)
		pthread_cond_wait(&calls->cond, &calls->lock);
	__atomic_store_n(&calls->asleep, 0, __ATOMIC_SEQ_CST);
}

static void *deadline_thread(void *arg)
{
	const struct timespec tick = { .tv_nsec = TICK_MS * 1000000 };
	struct sym *sym = arg;
	struct calls *calls = sym->calls;
	unsigned int idle = 0;

	pthread_setname_np(pthread_self(), "symdeadline");
	pthread_mutex_lock(&calls->lock);
	while (!calls->quit) {
		uint32_t now;

		if (calls->paused) { /* deadlines do not pass during a pause */
			pthread_cond_wait(&calls->cond, &calls->lock);
			continue;
		}
		pthread_mutex_unlock(&calls->lock);
		nanosleep(&tick, NULL);
		now = __atomic_add_fetch(&calls->tick, 1, __ATOMIC_RELAXED);
		idle = check_all(sym, now) ? 0 : idle + 1;
		pthread_mutex_lock(&calls->lock);
		if (idle > IDLE_TICKS && !calls->quit) {
			wait_for_work(sym);
			idle = 0;
		}
	}
	pthread_mutex_unlock(&calls->lock);
	return NULL;
}

int deadline_create(struct sym *sym)
{
	struct calls *calls = sym->calls;
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	ret = pthread_create(&calls->thread, NULL, deadline_thread, sym);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	calls->has_thread = !ret;
	return -ret;
}

void deadline_destroy(struct sym *sym)
{
	struct calls *calls = sym->calls;

	if (!calls->has_thread)
		return;
	pthread_mutex_lock(&calls->lock);
	calls->quit = true;
	pthread_cond_signal(&calls->cond);
	pthread_mutex_unlock(&calls->lock);
	pthread_join(calls->thread, NULL);
}

void sym_pause(struct sym *sym, bool paused)
{
	pthread_mutex_lock(&sym->calls->lock);
	WRITE_ONCE(sym->calls->paused, paused);
	pthread_cond_signal(&sym->calls->cond);
	pthread_mutex_unlock(&sym->calls->lock);
}
