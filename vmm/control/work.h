/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs that a control method must wait for, as upcalls and transfers.  One thread does them
 * one after the other, and passes each answer back to the loop.
 */
#ifndef VMM_CONTROL_WORK_H
#define VMM_CONTROL_WORK_H

#include <jansson.h>

#include "core/err.h"

struct control_call;
struct loop;
struct work;
struct work_job;

/* A job: sets @result (NULL: {}) or returns -errno with @err set; in the worker's thread. */
typedef int (*work_fn)(void *arg, json_t **result, struct err *err);

/* work_create - starts the thread: call it before the system call filter is set. */
int work_create(struct loop *loop, const char *thread_name, struct work **out);

/*
 * work_destroy - wait for the job that runs and for those deferred, answer the others with
 * -ECANCELED.  Loop's thread.  The caller sees to it that these jobs can end.
 */
void work_destroy(struct work *work);

/*
 * work_call - answer @call by @fn(@arg); @drop (may be NULL) frees @arg at the end, or at
 * once if this fails.  Returns CONTROL_LATER or -ENOMEM.  Loop's thread.
 */
int work_call(struct work *work, struct control_call *call, work_fn fn, void *arg,
	      void (*drop)(void *arg));

/*
 * work_defer - for a job that is not done by the worker: @call is answered by @fn(@arg) in
 * the loop's thread, after work_complete() was called, once, in any thread.  NULL: out of
 * memory, @drop was called.  Loop's thread.
 */
struct work_job *work_defer(struct work *work, struct control_call *call, work_fn fn, void *arg,
			    void (*drop)(void *arg));
void work_complete(struct work *work, struct work_job *job);

/*
 * work_post - run @fn(@arg) in the worker's thread, without an answer.  Any thread.
 * -EAGAIN: too much is queued; @drop was not called.
 */
int work_post(struct work *work, work_fn fn, void *arg, void (*drop)(void *arg));

#endif
