/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening Unix stream sockets for the owner of the VM alone.
 */
#ifndef VMM_HOST_UNIX_SOCKET_H
#define VMM_HOST_UNIX_SOCKET_H

#include <sys/types.h>

#include "core/err.h"

struct unix_listener {
	int fd;	   /* non-blocking; -1: none */
	int spare; /* given up for a moment when file descriptors run out */
	uid_t owner;
};

/* unix_listen - replace whatever is at @path by a listening socket. */
int unix_listen(struct unix_listener *l, const char *path, struct err *err);

/*
 * unix_accept - the next client, non-blocking.  Returns a file descriptor, or
 * -EAGAIN: nobody (any more), or somebody who is neither our user nor root.
 * Without a free file descriptor the client is hung up on, so that a loop that
 * waits for clients does not spin.
 */
int unix_accept(struct unix_listener *l);

void unix_unlisten(struct unix_listener *l);

#endif
