// SPDX-License-Identifier: BSD-2-Clause
#include "host/exit_deadline.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"
#include "host/terminal.h"

/* Process-wide, like the exit. */
static struct {
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	bool stopped;
	const char *name;
	const char *stage;
	uint64_t deadline_ns;
	unsigned int ms;
	int status;
} last = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *watch(void *arg)
{
	struct timespec deadline = {
		.tv_sec = last.deadline_ns / NS_PER_S,
		.tv_nsec = last.deadline_ns % NS_PER_S,
	};

	pthread_mutex_lock(&last.lock);
	while (!last.stopped &&
	       pthread_cond_timedwait(&last.cond, &last.lock, &deadline) != ETIMEDOUT)
		;
	if (!last.stopped) {
		terminal_restore();
		log_warn("%s: not taken down within %u ms (waiting for %s): exiting anyway",
			 last.name, last.ms, last.stage);
		_exit(last.status);
	}
	pthread_mutex_unlock(&last.lock);
	return NULL;
}

void exit_deadline_start(const char *name, unsigned int ms, int status)
{
	pthread_condattr_t attr;

	last.name = name;
	last.stage = "its vCPUs";
	last.ms = ms;
	last.status = status;
	last.stopped = false;
	last.deadline_ns = clock_ns() + ms * NS_PER_MS;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&last.cond, &attr);
	pthread_condattr_destroy(&attr);
	last.has_thread = !pthread_create(&last.thread, NULL, watch, NULL);
}

void exit_deadline_stage(const char *what)
{
	pthread_mutex_lock(&last.lock);
	last.stage = what;
	pthread_mutex_unlock(&last.lock);
}

void exit_deadline_stop(void)
{
	if (!last.has_thread)
		return;
	pthread_mutex_lock(&last.lock);
	last.stopped = true;
	pthread_cond_signal(&last.cond);
	pthread_mutex_unlock(&last.lock);
	pthread_join(last.thread, NULL);
	pthread_cond_destroy(&last.cond);
	last.has_thread = false;
}
