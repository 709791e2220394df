/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal that symvmm was started from, in raw mode for the guest.
 */
#ifndef VMM_HOST_TERMINAL_H
#define VMM_HOST_TERMINAL_H

#include <stdbool.h>

/*
 * terminal_raw - raw mode on @fd, a terminal.  It is put back by
 * terminal_restore(), at exit, and when the process dies of a fault of its own.
 * There is one such terminal in a process.  0 or -errno.
 */
int terminal_raw(int fd);
void terminal_restore(void);

/*
 * terminal_continue - after SIGCONT: whoever stopped us (a shell's job control) has given
 * the terminal other settings; make it raw again, if we had it so and are in its
 * foreground.
 */
void terminal_continue(void);

/*
 * terminal_open - a file of our own, non-blocking, for what @fd (a terminal or a
 * pipe) refers to: O_NONBLOCK on a shared one would hit the shell too.  Returns a
 * duplicate of @fd, unchanged, when there is no other way.
 */
int terminal_open(int fd, bool for_writing);

#endif
