/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a control method must wait for: upcalls, transfers.  One thread does these jobs
 * one after the other, and hands each answer back to the loop.
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

/* work_create - the thread starts here, before the system call filter. */
int work_create(struct loop *loop, const char *thread_name, struct work **out);

/*
 * work_destroy - wait for the job in hand and for those deferred, answer the others with
 * -ECANCELED.  Loop's thread.  What a job waits for must end by itself or have been ended.
 */
void work_destroy(struct work *work);

/*
 * work_call - answer @call by @fn(@arg); @drop (may be NULL) frees @arg at the end, or at
 * once if this fails.  Returns CONTROL_LATER or -ENOMEM.  Loop's thread.
 */
int work_call(struct work *work, struct control_call *call, work_fn fn, void *arg,
	      void (*drop)(void *arg));

/*
 * work_defer - for what the worker need not wait for: @call is answered by @fn(@arg)
 * in the loop's thread, after whoever does the work has called work_complete(), once, in any
 * thread.  NULL: out of memory, @drop was called.  Loop's thread.
 */
struct work_job *work_defer(struct work *work, struct control_call *call, work_fn fn,
				void *arg, void (*drop)(void *arg));
void work_complete(struct work *work, struct work_job *job);

/*
 * work_post - have @fn(@arg) done in the worker's thread, without an answer.  Any thread.
 * -EAGAIN: too much is queued; @drop was not called.
 */
int work_post(struct work *work, work_fn fn, void *arg, void (*drop)(void *arg));

#endif
