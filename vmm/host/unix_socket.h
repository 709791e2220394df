/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening Unix stream sockets for the VM's user only.
 */
#ifndef VMM_HOST_UNIX_SOCKET_H
#define VMM_HOST_UNIX_SOCKET_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/err.h"

#define UNIX_SPARES 8

struct unix_listener {
	int fd; /* non-blocking; -1: none */
	/* Reserve: closed one by one when file descriptors run out; -1: closed. */
	int spare[UNIX_SPARES];
	unsigned int nr_spares;
	uid_t owner;
	bool any_peer; /* the mode of the path alone decides who may connect */
};

#define UNIX_LISTENER_NONE                                                                       \
	{                                                                                        \
		.fd = -1                                                                         \
	}

/*
 * unix_listen - a listening socket at @path.  A socket at which nobody listens any more is
 * replaced; -EADDRINUSE if somebody does, -EEXIST if the file is no socket.  @nr_spares
 * descriptors (1 to UNIX_SPARES) are kept in reserve: all but one are for clients.
 */
int unix_listen(struct unix_listener *l, const char *path, unsigned int nr_spares,
		struct err *err);

/*
 * unix_accept - the next client, non-blocking.  Returns a file descriptor, or
 * -EAGAIN: no client, or one that is neither our user nor root.  Without a free file
 * descriptor the client gets one of the reserve; if that is empty it is disconnected, so
 * that a loop that waits for clients does not spin.
 */
int unix_accept(struct unix_listener *l);

/* unix_refill - a descriptor may be free again: fill up the reserve. */
void unix_refill(struct unix_listener *l);

void unix_unlisten(struct unix_listener *l);

#endif
