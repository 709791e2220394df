/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Setting up the helper processes that symvmm forks.
 */
#ifndef VMM_HOST_CHILD_H
#define VMM_HOST_CHILD_H

#include "core/err.h"

/*
 * child_ignore_signals - terminals and service managers send their signals to all processes
 * of symvmm; only the VMM handles them.
 */
void child_ignore_signals(void);

/*
 * child_above_standard - @fd, or a duplicate above the standard streams, with which symvmm
 * may have been started closed; -1 with errno set.
 */
int child_above_standard(int fd);

/*
 * child_keep - close every descriptor but stderr, @a and @b (which may be equal, and are
 * above the standard streams); stdin and stdout become /dev/null.  0, or -errno with @err set.
 */
int child_keep(unsigned int a, unsigned int b, struct err *err);

#endif
