/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last resort when a VM is destroyed: a thread that ends the process if that takes too
 * long (a disk that does not answer, a service that hangs).
 */
#ifndef VMM_HOST_EXIT_DEADLINE_H
#define VMM_HOST_EXIT_DEADLINE_H

/*
 * exit_deadline_start - unless exit_deadline_stop() comes within @ms milliseconds, say on
 * stderr that VM @name could not be taken down in time, and what it was waiting for, and
 * end the process with @status.  If no thread can be created, there is no deadline.
 * One at a time; @name must stay valid.
 */
void exit_deadline_start(const char *name, unsigned int ms, int status);

/* exit_deadline_stage - name the next thing to wait for, in the message: a constant. */
void exit_deadline_stage(const char *what);

void exit_deadline_stop(void);

#endif
