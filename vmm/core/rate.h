/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rate limit (token bucket) for messages and events that a guest can cause.
 */
#ifndef VMM_CORE_RATE_H
#define VMM_CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
	unsigned int burst; /* how many may pass at once */
	unsigned int per_s; /* how many per second after that */
	unsigned int used; /* of the burst; a new struct has all of it */
	uint64_t refilled_ns;
};

#define RATE(burst_, per_s_)                                                                     \
	{                                                                                        \
		.burst = (burst_), .per_s = (per_s_)                                             \
	}

/*
 * rate_take - take a token at @now_ns (clock_ns()); false: none is left.  rate_ready - would
 * rate_take() return true?  The caller holds the lock that guards @rate.
 */
bool rate_ready(struct rate *rate, uint64_t now_ns);
bool rate_take(struct rate *rate, uint64_t now_ns);

#endif
