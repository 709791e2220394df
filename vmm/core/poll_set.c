// SPDX-License-Identifier: BSD-2-Clause
/*
 * A growing array for poll().
 */
#include "core/poll_set.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

int poll_set_add(struct poll_set *set, int fd, short events)
{
	if (set->nr == set->room) {
		unsigned int room = set->room ? 2 * set->room : 16;
		struct pollfd *fds = realloc(set->fds, room * sizeof(*fds));

		if (!fds)
			return -ENOMEM;
		set->fds = fds;
		set->room = room;
	}
	set->fds[set->nr] = (struct pollfd){ .fd = fd, .events = events };
	return set->nr++;
}

void poll_set_timeout(struct poll_set *set, uint64_t ms)
{
	int timeout = ms > INT_MAX ? INT_MAX : (int)ms;

	if (set->timeout_ms < 0 || timeout < set->timeout_ms)
		set->timeout_ms = timeout;
}

short poll_set_revents(const struct poll_set *set, int place)
{
	return place >= 0 && (unsigned int)place < set->nr ? set->fds[place].revents : 0;
}
