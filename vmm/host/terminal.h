/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal that symvmm was started from, in raw mode for the guest.
 */
#ifndef VMM_HOST_TERMINAL_H
#define VMM_HOST_TERMINAL_H

#include <stdbool.h>

/*
 * terminal_raw - raw mode on @fd, a terminal.  Its settings are restored by
 * terminal_restore(), at exit, and when the process crashes.  There is one such
 * terminal in a process.  0 or -errno.
 */
int terminal_raw(int fd);
void terminal_restore(void);

/*
 * terminal_continue - after SIGCONT: a shell's job control has changed the terminal's
 * settings; make it raw again, if it was and we are in its foreground.
 */
void terminal_continue(void);

/*
 * terminal_open - open what @fd (a terminal or a pipe) refers to again, non-blocking:
 * O_NONBLOCK on @fd itself would affect the shell too.  Returns a duplicate of @fd,
 * unchanged, if it cannot be opened.
 */
int terminal_open(int fd, bool for_writing);

#endif
