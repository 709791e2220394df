/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rate limit: a token bucket for what somebody else can cause and somebody has to read.
 */
#ifndef VMM_CORE_RATE_H
#define VMM_CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
	unsigned int burst; /* how many may come at once */
	unsigned int per_s; /* and how many each second after that */
	unsigned int used;  /* of the burst; a new struct has all of it */
	uint64_t refilled_ns;
};

#define RATE(burst_, per_s_) { .burst = (burst_), .per_s = (per_s_) }

/*
 * rate_take - may one more pass at @now_ns (clock_ns())?  rate_ready - would rate_take()
 * say so?  The caller holds the lock that guards @rate.
 */
bool rate_ready(struct rate *rate, uint64_t now_ns);
bool rate_take(struct rate *rate, uint64_t now_ns);

#endif
