// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the VMM may take back: first those of slots that nobody needs, then those that
 * have not been used for longest, whose contents it must keep.
 *
 * The kernel may use a free slot at any time.  So each free one is offered: from then on,
 * until the VMM has reported what it took, who wants to write to it waits.
 */
#include <linux/bitmap.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "symswap.h"

/* The VMM punches free slots within ten seconds of its request, or not at all. */
#define SYMSWAP_TAKEN_WITHIN (15 * HZ)

struct symswap_answer {
	struct sym_window_run *run;
	unsigned int runs;
	unsigned int pages;
	unsigned int wanted;
};

static DEFINE_MUTEX(symswap_reclaim_lock);
static DECLARE_WAIT_QUEUE_HEAD(symswap_reclaim_done);
static struct sym_window_run symswap_last[SYM_WINDOW_RUNS]; /* the last answer */
static unsigned int symswap_nr_last;
static unsigned long symswap_answered; /* jiffies */
static u64 symswap_seq; /* the request that it answered */
static u64 symswap_done_seq; /* the last request that the VMM has finished */
static unsigned int symswap_free_hand; /* where the search for free slots continues */
static unsigned int symswap_hand; /* the same for cold pages */
static bool symswap_emptying; /* what is needed is being forgotten */

/* May the VMM be punching the free slots of the last answer? */
static bool symswap_taking(void)
{
	return READ_ONCE(symswap_nr_last) &&
	       time_before(jiffies, READ_ONCE(symswap_answered) + SYMSWAP_TAKEN_WITHIN);
}

static bool symswap_busy(unsigned int slot)
{
	return test_bit(slot, symswap.offered) || READ_ONCE(symswap_emptying);
}

/*
 * Writes do not fail instead: for the kernel that would be reclaim without success, and after
 * some of it, it kills a process.
 */
void symswap_settle_wait(unsigned int slot)
{
	while (unlikely(symswap_busy(slot))) {
		wait_event_timeout(symswap_reclaim_done, !symswap_busy(slot), HZ);
		symswap_reclaim_poll();
	}
}

void symswap_claim(unsigned int slot)
{
	if (!slot)
		return;
	for (;;) {
		/* An offer after this sees it; one made before is seen here. */
		symswap_need(slot);
		smp_mb__after_atomic();
		if (likely(!symswap_busy(slot)))
			return;
		/* It may be forgotten meanwhile. */
		symswap_settle_wait(slot);
	}
}

static bool symswap_full(const struct symswap_answer *answer)
{
	return answer->pages >= answer->wanted || answer->runs == SYM_WINDOW_RUNS;
}

/* Only if there is room for it. */
static void symswap_answer(struct symswap_answer *answer, unsigned int slot, u16 flags)
{
	struct sym_window_run *last = answer->run + answer->runs - 1;

	if (answer->runs && last->flags == flags && last->first + last->count == slot &&
	    last->count < U16_MAX)
		last->count++;
	else
		answer->run[answer->runs++] = (struct sym_window_run){
			.first = slot,
			.count = 1,
			.flags = flags,
		};
	answer->pages++;
}

static bool symswap_offer(unsigned int slot)
{
	set_bit(slot, symswap.offered);
	smp_mb__after_atomic();
	if (!test_bit(slot, symswap.needed))
		return true;
	clear_bit(slot, symswap.offered);
	wake_up_all(&symswap_reclaim_done);
	return false;
}

static void symswap_answer_free_between(struct symswap_answer *answer, unsigned int from,
					unsigned int to)
{
	unsigned int slot = find_next_andnot_bit(symswap.lent, symswap.needed, to, from);

	while (slot < to && !symswap_full(answer)) {
		if (symswap_offer(slot))
			symswap_answer(answer, slot, SYM_WINDOW_RUN_FREE);
		symswap_free_hand = slot + 1;
		slot = find_next_andnot_bit(symswap.lent, symswap.needed, to, slot + 1);
	}
}

/* Around once. */
static void symswap_answer_free(struct symswap_answer *answer)
{
	unsigned int hand = clamp(symswap_free_hand, 1u, symswap.slots);

	symswap_answer_free_between(answer, hand, symswap.slots);
	if (!symswap_full(answer))
		symswap_answer_free_between(answer, 1, hand);
}

/* The guest goes on: a page that was not mapped when it was answered may be by now. */
static bool symswap_answered_already(const struct symswap_answer *answer, unsigned int slot)
{
	unsigned int i;

	for (i = 0; i < answer->runs; i++)
		if (slot - answer->run[i].first < answer->run[i].count)
			return true;
	return false;
}

enum symswap_pass { SYMSWAP_UNMAPPED, SYMSWAP_SAMPLED, SYMSWAP_SECOND_CHANCE };

static bool symswap_is_cold(unsigned int slot, enum symswap_pass pass)
{
	bool mapped = READ_ONCE(symswap.slot[slot].owner);

	switch (pass) {
	case SYMSWAP_UNMAPPED:
		return !mapped && !test_bit(slot, symswap.out);
	case SYMSWAP_SAMPLED:
		return symswap_slot_cold(slot) && !symswap_slot_young(slot);
	default:
		return mapped && !symswap_slot_young(slot);
	}
}

/* Around once at most. */
static void symswap_answer_cold(struct symswap_answer *answer, enum symswap_pass pass)
{
	unsigned int slot, n;

	for (n = 1; n < symswap.slots && !symswap_full(answer); n++) {
		symswap_hand = symswap_hand + 1 < symswap.slots ? symswap_hand + 1 : 1;
		slot = symswap_hand;
		if (!(n % 1024))
			cond_resched();
		if (!test_bit(slot, symswap.lent) || !test_bit(slot, symswap.needed) ||
		    !symswap_is_cold(slot, pass) ||
		    (pass != SYMSWAP_UNMAPPED && symswap_answered_already(answer, slot)))
			continue;
		/* A fault after this maps it again, and finds the bit. */
		set_bit(slot, symswap.out);
		symswap_restore_slot(slot);
		symswap_answer(answer, slot, 0);
	}
}

/*
 * If the guest does not swap to the window, what was written there by anyone else is not
 * needed.  A swapon after this finds it empty, but for the signature.
 */
static void symswap_forget_contents(void)
{
	unsigned int slot;

	WRITE_ONCE(symswap_emptying, true);
	smp_mb();
	if (!symswap_in_use()) {
		for_each_set_bit(slot, symswap.needed, symswap.slots) symswap_unneed(slot);
	}
	smp_store_release(&symswap_emptying, false);
	wake_up_all(&symswap_reclaim_done);
}

static void symswap_answer_what_there_is(struct symswap_answer *answer, bool free_only)
{
	if (!free_only && !symswap_in_use())
		symswap_forget_contents();
	symswap_answer_free(answer);
	if (free_only || symswap_swapping_off())
		return;
	symswap_answer_cold(answer, SYMSWAP_UNMAPPED);
	symswap_answer_cold(answer, SYMSWAP_SAMPLED);
	symswap_answer_cold(answer, SYMSWAP_SECOND_CHANCE);
	/* The VMM may not have been able to move them. */
	if (!answer->runs)
		bitmap_zero(symswap.out, symswap.slots);
}

/* The first @taken runs of the last answer were taken; the others are not offered any more. */
static void symswap_settle(unsigned int taken)
{
	unsigned int i, slot, end;

	for (i = 0; i < symswap_nr_last; i++) {
		if (!(symswap_last[i].flags & SYM_WINDOW_RUN_FREE))
			continue;
		slot = symswap_last[i].first;
		for (end = slot + symswap_last[i].count; slot < end; slot++) {
			if (i < taken)
				symswap_return(slot);
			clear_bit_unlock(slot, symswap.offered);
		}
	}
	WRITE_ONCE(symswap_nr_last, 0);
	wake_up_all(&symswap_reclaim_done);
}

/* The VMM may never report that it is done. */
void symswap_reclaim_poll(void)
{
	mutex_lock(&symswap_reclaim_lock);
	if (symswap_nr_last && !symswap_taking())
		symswap_settle(0);
	mutex_unlock(&symswap_reclaim_lock);
}

static int symswap_reclaim_locked(struct sym_upcall *call)
{
	struct symswap_answer answer = {
		.run = symswap_last,
		.wanted = min_t(u64, call->arg[0], symswap.slots),
	};

	/* So late that the VMM has abandoned it, and may be handling another answer. */
	if (call->arg[1] <= symswap_done_seq)
		return -ECANCELED;
	if (symswap_taking())
		return -EBUSY;
	symswap_settle(0);
	symswap_answer_what_there_is(&answer, call->arg[2] & SYM_WINDOW_RECLAIM_FREE);
	WRITE_ONCE(symswap_answered, jiffies);
	WRITE_ONCE(symswap_nr_last, answer.runs);
	symswap_seq = call->arg[1];
	call->reply_len = answer.runs * sizeof(*answer.run);
	memcpy(call->payload, symswap_last, call->reply_len);
	call->result[0] = answer.pages;
	return 0;
}

int symswap_reclaim(void *arg, struct sym_upcall *call)
{
	int err;

	/* Hold slots beyond the limit that have become free. */
	symswap_hold_adjust();
	mutex_lock(&symswap_reclaim_lock);
	err = symswap_reclaim_locked(call);
	mutex_unlock(&symswap_reclaim_lock);
	return err;
}

/* Free slots that were punched are not lent any more; all slots may be written again. */
int symswap_reclaimed(void *arg, struct sym_upcall *call)
{
	bool current_answer;

	mutex_lock(&symswap_reclaim_lock);
	symswap_done_seq = max(symswap_done_seq, call->arg[0]);
	/* Late: the last answer belongs to a newer request. */
	current_answer = symswap_seq <= call->arg[0];
	if (current_answer)
		symswap_settle(symswap_seq == call->arg[0] ? min_t(u64, call->arg[1], U32_MAX) :
							     0);
	mutex_unlock(&symswap_reclaim_lock);
	if (current_answer)
		symswap_state_show();
	return 0;
}
