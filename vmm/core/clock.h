/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks for deadlines and rates.
 */
#ifndef VMM_CORE_CLOCK_H
#define VMM_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

/* clock_ns - nanoseconds of CLOCK_MONOTONIC.  Any thread. */
static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* clock_ms - the same in milliseconds. */
static inline uint64_t clock_ms(void)
{
	return clock_ns() / NS_PER_MS;
}

/* clock_boot_ns - nanoseconds of CLOCK_BOOTTIME, which includes suspend of the host. */
static inline uint64_t clock_boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

#endif
