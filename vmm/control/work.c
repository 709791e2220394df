// SPDX-License-Identifier: BSD-2-Clause
/*
 * The worker: it takes jobs from a queue and puts finished ones on a list; an eventfd wakes
 * the loop.  Deferred jobs come back by the same list.
 */
#include "control/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "control/control.h"
#include "core/loop.h"
#include "host/seccomp.h"

#define MAX_QUEUED 1024

struct work_job {
	struct work_job *next;
	work_fn fn;
	void *arg;
	void (*drop)(void *arg);
	struct control_later *later; /* NULL: no answer is wanted */
	bool deferred; /* not done by the worker: @fn runs in the loop, after work_complete() */
	json_t *result;
	struct err err;
};

struct work {
	pthread_t thread;
	bool has_thread;
	int done_fd;
	struct loop_source *source;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t cond;
	struct work_job *queue;
	struct work_job **queue_end;
	unsigned int nr_queued;
	struct work_job *done;
	struct work_job **done_end;
	unsigned int nr_deferred; /* that are not complete yet */
	bool stopping;
};

static void job_free(struct work_job *job)
{
	if (job->drop)
		job->drop(job->arg);
	free(job);
}

static void run_job(struct work_job *job)
{
	int ret = job->fn(job->arg, &job->result, &job->err);

	if (ret && !job->err.code)
		err_set(&job->err, ret, "%s", strerror(-ret));
}

/* Hand @job to the loop; lock held. */
static void hand_over(struct work *work, struct work_job *job)
{
	job->next = NULL;
	*work->done_end = job;
	work->done_end = &job->next;
	eventfd_write(work->done_fd, 1);
}

static void finish(struct work *work, struct work_job *job)
{
	if (!job->later) {
		json_decref(job->result);
		job_free(job);
		return;
	}
	pthread_mutex_lock(&work->lock);
	hand_over(work, job);
	pthread_mutex_unlock(&work->lock);
}

static void *serve(void *arg)
{
	struct work *work = arg;
	struct work_job *job;

	pthread_mutex_lock(&work->lock);
	while (!work->stopping) {
		job = work->queue;
		if (!job) {
			pthread_cond_wait(&work->cond, &work->lock);
			continue;
		}
		work->queue = job->next;
		if (!work->queue)
			work->queue_end = &work->queue;
		work->nr_queued--;
		pthread_mutex_unlock(&work->lock);
		seccomp_enter(SECCOMP_WORKER);
		run_job(job);
		finish(work, job);
		pthread_mutex_lock(&work->lock);
	}
	pthread_mutex_unlock(&work->lock);
	return NULL;
}

static void on_done(void *arg, uint32_t events)
{
	struct work *work = arg;
	struct work_job *job, *next;
	uint64_t count;

	if (read(work->done_fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&work->lock);
	job = work->done;
	work->done = NULL;
	work->done_end = &work->done;
	pthread_mutex_unlock(&work->lock);
	for (; job; job = next) {
		next = job->next;
		if (job->deferred)
			run_job(job);
		control_answer(job->later, job->result, &job->err);
		job_free(job);
	}
}

static int start_thread(struct work *work, const char *name)
{
	static const int own[] = { SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT };
	sigset_t all, old;
	int ret;

	/* The loop handles signals, vCPUs handle kicks; only faults are left to this thread. */
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&work->thread, NULL, serve, work);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret) {
		work->has_thread = true;
		pthread_setname_np(work->thread, name);
	}
	return ret;
}

int work_create(struct loop *loop, const char *thread_name, struct work **out)
{
	struct work *work = calloc(1, sizeof(*work));
	int ret;

	if (!work)
		return -ENOMEM;
	pthread_mutex_init(&work->lock, NULL);
	pthread_cond_init(&work->cond, NULL);
	work->queue_end = &work->queue;
	work->done_end = &work->done;
	work->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = work->done_fd < 0 ?
		      -errno :
		      loop_add(loop, work->done_fd, EPOLLIN, on_done, work, &work->source);
	if (!ret)
		ret = start_thread(work, thread_name);
	if (ret) {
		work_destroy(work);
		return ret;
	}
	*out = work;
	return 0;
}

/* The clients may be gone already, but each struct control_later must be freed. */
static void drop_all(struct work_job *job)
{
	struct err err = { 0 };
	struct work_job *next;

	err_set(&err, -ECANCELED, "the VM stops");
	for (; job; job = next) {
		next = job->next;
		if (job->deferred)
			run_job(job);
		if (job->later)
			control_answer(job->later, job->result,
				       job->err.code || job->result ? &job->err : &err);
		job_free(job);
	}
}

void work_destroy(struct work *work)
{
	if (!work)
		return;
	pthread_mutex_lock(&work->lock);
	work->stopping = true;
	pthread_cond_signal(&work->cond);
	pthread_mutex_unlock(&work->lock);
	if (work->has_thread)
		pthread_join(work->thread, NULL);
	pthread_mutex_lock(&work->lock);
	while (work->nr_deferred) /* another thread may be completing one just now */
		pthread_cond_wait(&work->cond, &work->lock);
	pthread_mutex_unlock(&work->lock);
	drop_all(work->done);
	drop_all(work->queue);
	if (work->source)
		loop_del(work->source);
	if (work->done_fd >= 0)
		close(work->done_fd);
	pthread_cond_destroy(&work->cond);
	pthread_mutex_destroy(&work->lock);
	free(work);
}

static int enqueue(struct work *work, struct work_job *job)
{
	int ret = 0;

	pthread_mutex_lock(&work->lock);
	if (work->stopping || (!job->later && work->nr_queued >= MAX_QUEUED)) {
		ret = -EAGAIN;
	} else {
		*work->queue_end = job;
		work->queue_end = &job->next;
		work->nr_queued++;
		pthread_cond_signal(&work->cond);
	}
	pthread_mutex_unlock(&work->lock);
	return ret;
}

static struct work_job *job_new(struct control_call *call, work_fn fn, void *arg,
				void (*drop)(void *arg))
{
	struct work_job *job = calloc(1, sizeof(*job));

	if (job)
		*job = (struct work_job){ .fn = fn, .arg = arg, .drop = drop };
	if (job && (job->later = control_defer(call)))
		return job;
	free(job);
	if (drop)
		drop(arg);
	return NULL;
}

int work_call(struct work *work, struct control_call *call, work_fn fn, void *arg,
	      void (*drop)(void *arg))
{
	struct work_job *job = job_new(call, fn, arg, drop);

	if (!job)
		return -ENOMEM;
	if (enqueue(work, job)) {
		err_set(&job->err, -ECANCELED, "the VM stops");
		finish(work, job);
	}
	return CONTROL_LATER;
}

struct work_job *work_defer(struct work *work, struct control_call *call, work_fn fn, void *arg,
			    void (*drop)(void *arg))
{
	struct work_job *job = job_new(call, fn, arg, drop);

	if (!job)
		return NULL;
	job->deferred = true;
	pthread_mutex_lock(&work->lock);
	work->nr_deferred++;
	pthread_mutex_unlock(&work->lock);
	return job;
}

void work_complete(struct work *work, struct work_job *job)
{
	/* All under the lock: once it is released, both may be freed. */
	pthread_mutex_lock(&work->lock);
	hand_over(work, job);
	work->nr_deferred--;
	if (work->stopping)
		pthread_cond_signal(&work->cond);
	pthread_mutex_unlock(&work->lock);
}

int work_post(struct work *work, work_fn fn, void *arg, void (*drop)(void *arg))
{
	struct work_job *job = calloc(1, sizeof(*job));
	int ret;

	if (!job)
		return -ENOMEM;
	*job = (struct work_job){ .fn = fn, .arg = arg, .drop = drop };
	ret = enqueue(work, job);
	if (ret)
		free(job);
	return ret;
}
