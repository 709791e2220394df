/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A growing array for poll(), filled again before each wait.
 */
#ifndef VMM_CORE_POLL_SET_H
#define VMM_CORE_POLL_SET_H

#include <poll.h>
#include <stdint.h>

struct poll_set {
	struct pollfd *fds;
	unsigned int nr, room;
	int timeout_ms; /* -1: none */
};

/* poll_set_add - add @fd; returns its place in the array, or -ENOMEM. */
int poll_set_add(struct poll_set *set, int fd, short events);

/* poll_set_timeout - wait no longer than @ms milliseconds. */
void poll_set_timeout(struct poll_set *set, uint64_t ms);

/* poll_set_revents - the events at @place (0 for a negative place). */
short poll_set_revents(const struct poll_set *set, int place);

#endif
