// SPDX-License-Identifier: BSD-2-Clause
#include "core/rate.h"

#include "core/clock.h"

bool rate_ready(struct rate *rate, uint64_t now_ns)
{
	uint64_t interval = NS_PER_S / rate->per_s;
	uint64_t refill = (now_ns - rate->refilled_ns) / interval;

	if (refill >= rate->used) {
		rate->used = 0;
		rate->refilled_ns = now_ns;
	} else {
		rate->used -= refill;
		rate->refilled_ns += refill * interval;
	}
	return rate->used < rate->burst;
}

bool rate_take(struct rate *rate, uint64_t now_ns)
{
	if (!rate_ready(rate, now_ns))
		return false;
	rate->used++;
	return true;
}
