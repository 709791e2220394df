// SPDX-License-Identifier: GPL-2.0
/*
 * Which mapped pages are cold.  The kernel's page lists do not have them, so the accessed bits
 * of their entries are sampled: some slots each second, all of them in eight seconds or
 * more.  A page that was not used in two samplings is cold.
 */
#include <linux/sched.h>

#include "symswap.h"

#define SYMSWAP_SAMPLE_SHARE 8 /* of the slots, each second */
#define SYMSWAP_SAMPLE_MAX   32768u

static unsigned int symswap_sample_hand = 1;
static unsigned long symswap_cold_so_far, symswap_nr_cold;

unsigned long symswap_cold(void)
{
	return READ_ONCE(symswap_nr_cold);
}

/* From one work item only. */
void symswap_age_sample(void)
{
	unsigned int n = min(symswap.slots / SYMSWAP_SAMPLE_SHARE + 1, SYMSWAP_SAMPLE_MAX);

	while (n--) {
		if (!(n % 256))
			cond_resched();
		if (READ_ONCE(symswap.slot[symswap_sample_hand].owner))
			symswap_slot_sample(symswap_sample_hand);
		symswap_cold_so_far += symswap_slot_cold(symswap_sample_hand);
		if (++symswap_sample_hand < symswap.slots)
			continue;
		symswap_sample_hand = 1;
		WRITE_ONCE(symswap_nr_cold, symswap_cold_so_far);
		symswap_cold_so_far = 0;
	}
}
