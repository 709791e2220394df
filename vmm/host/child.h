/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that symvmm forks for itself: what they do first.
 */
#ifndef VMM_HOST_CHILD_H
#define VMM_HOST_CHILD_H

#include "core/err.h"

/*
 * child_ignore_signals - a terminal's signals, and a service manager's, go to every
 * process of symvmm's: they are for the VMM.
 */
void child_ignore_signals(void);

/*
 * child_above_standard - @fd, or a duplicate above the descriptors of the standard streams,
 * which symvmm may have started without; -1 with errno set.
 */
int child_above_standard(int fd);

/*
 * child_keep - close every descriptor but stderr, @a and @b (which may be the same one, and
 * are above the standard streams); stdin and stdout are /dev/null.  0, or -errno with @err set.
 */
int child_keep(unsigned int a, unsigned int b, struct err *err);

#endif
