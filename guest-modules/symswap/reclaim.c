// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the VMM may take back: first those of free or held slots, whose contents are not
 * needed; then those that have not been used for longest, whose contents it must keep.  If the
 * guest does not swap to the window: all.
 */
#include <linux/bsearch.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sort.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/wait.h>

#include "kernel.h"
#include "symswap.h"

/* Free slots examined in one call; the guest cannot use them meanwhile. */
#define SYMSWAP_LOOK 4096

struct symswap_answer {
	struct sym_window_run *run;
	unsigned int runs;
	unsigned int pages;
	unsigned int wanted;
};

/* The VMM punches free slots within ten seconds of its request, or not at all. */
#define SYMSWAP_TAKEN_WITHIN (15 * HZ)

static DEFINE_MUTEX(symswap_reclaim_lock);
static DECLARE_WAIT_QUEUE_HEAD(symswap_reclaim_done);
/* The last answer's free slots, kept out of use until the VMM is done: grabbed and held ones. */
static struct sym_window_run symswap_last[SYM_WINDOW_RUNS];
static unsigned int symswap_nr_last;
static unsigned long symswap_answered; /* jiffies */
static u64 symswap_seq; /* the request that it answered */
static u64 symswap_done_seq; /* the last request that the VMM has finished */
static unsigned int symswap_grabbed[SYMSWAP_LOOK];
static unsigned int symswap_nr_grabbed;
static unsigned int symswap_hand; /* where the search for cold pages continues */
static bool symswap_all_offered; /* the device was not in use at the last answer */

static bool symswap_full(const struct symswap_answer *answer)
{
	return answer->pages >= answer->wanted || answer->runs == SYM_WINDOW_RUNS;
}

/* False: no room for it. */
static bool symswap_answer(struct symswap_answer *answer, unsigned int slot, u16 flags)
{
	struct sym_window_run *last = answer->run + answer->runs - 1;

	if (answer->runs && last->flags == flags && last->first + last->count == slot &&
	    last->count < U16_MAX) {
		last->count++;
	} else {
		if (answer->runs == SYM_WINDOW_RUNS)
			return false;
		answer->run[answer->runs++] = (struct sym_window_run){
			.first = slot,
			.count = 1,
			.flags = flags,
		};
	}
	answer->pages++;
	return true;
}

static void symswap_answer_held(struct symswap_answer *answer)
{
	unsigned int slot = symswap_held_next(0);

	for (; slot < symswap.slots && !symswap_full(answer); slot = symswap_held_next(slot + 1))
		if (test_bit(slot, symswap.lent))
			symswap_answer(answer, slot, SYM_WINDOW_RUN_FREE);
}

static int symswap_compare(const void *a, const void *b)
{
	return *(const unsigned int *)a - *(const unsigned int *)b;
}

/*
 * Take free slots, keep those that are lent, and release the rest.  Never take all of them:
 * a kernel that has no swap left, even for a moment, kills processes.
 */
static void symswap_answer_free(struct symswap_answer *answer, const struct swap_info_struct *si)
{
	unsigned int used = min(symswap_inuse(si), si->pages), i, slot, n = 0, kept = 0;
	unsigned int most = min_t(unsigned int, SYMSWAP_LOOK, (si->pages - used) / 2);

	while (n < most && !symswap_full(answer)) {
		slot = symswap_grab();
		if (!slot)
			break;
		symswap_grabbed[n++] = slot;
	}
	sort(symswap_grabbed, n, sizeof(*symswap_grabbed), symswap_compare, NULL);
	for (i = 0; i < n; i++) {
		slot = symswap_grabbed[i];
		if (test_bit(slot, symswap.lent) && !symswap_full(answer) &&
		    symswap_answer(answer, slot, SYM_WINDOW_RUN_FREE))
			symswap_grabbed[kept++] = slot;
		else
			symswap_ungrab(slot);
	}
	symswap_nr_grabbed = kept;
}

static bool symswap_free_already(unsigned int slot)
{
	return symswap_held_next(slot) == slot ||
	       bsearch(&slot, symswap_grabbed, symswap_nr_grabbed, sizeof(slot), symswap_compare);
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

/* Go around once at most.  A page that is mapped gets a second chance. */
static void symswap_answer_cold(struct symswap_answer *answer, bool mapped)
{
	unsigned int slot, n;

	for (n = 1; n < symswap.slots && !symswap_full(answer); n++) {
		symswap_hand = symswap_hand + 1 < symswap.slots ? symswap_hand + 1 : 1;
		slot = symswap_hand;
		if (!(n % 1024))
			cond_resched();
		if (!test_bit(slot, symswap.lent) || symswap_free_already(slot) ||
		    mapped != !!READ_ONCE(symswap.slot[slot].owner))
			continue;
		if (mapped) {
			if (symswap_answered_already(answer, slot) || symswap_slot_young(slot))
				continue;
			symswap_restore_slot(slot);
		}
		symswap_answer(answer, slot, 0);
	}
}

/* The guest does not swap to it: only the signature's slot has contents that are needed. */
static void symswap_answer_all(struct symswap_answer *answer)
{
	unsigned int slot = find_next_bit(symswap.lent, symswap.slots, 1);

	for (; slot < symswap.slots && !symswap_full(answer);
	     slot = find_next_bit(symswap.lent, symswap.slots, slot + 1))
		symswap_answer(answer, slot, SYM_WINDOW_RUN_FREE);
}

/* True if the device is not in use; a swapon after this finds that all is being taken. */
static bool symswap_offer_all(void)
{
	if (symswap_in_use())
		return false;
	WRITE_ONCE(symswap_all_offered, true);
	smp_mb();
	if (!symswap_in_use())
		return true;
	WRITE_ONCE(symswap_all_offered, false);
	return false;
}

static void symswap_answer_what_there_is(struct symswap_answer *answer)
{
	const struct swap_info_struct *si = symswap_area();

	if (symswap_offer_all()) {
		symswap_answer_all(answer);
		return;
	}
	/* During a swapoff held slots are released. */
	if (!si || symswap_swapping_off())
		return;
	symswap_answer_held(answer);
	symswap_answer_free(answer, si);
	symswap_answer_cold(answer, false);
	symswap_answer_cold(answer, true);
}

/* The VMM may be taking all slots: nothing may be written now. */
bool symswap_being_taken(void)
{
	return READ_ONCE(symswap_all_offered);
}

static void symswap_forget_locked(void)
{
	while (symswap_nr_grabbed)
		symswap_ungrab(symswap_grabbed[--symswap_nr_grabbed]);
	WRITE_ONCE(symswap_all_offered, false);
	WRITE_ONCE(symswap_nr_last, 0);
	wake_up_all(&symswap_reclaim_done);
}

/* May the VMM be punching the free slots of the last answer? */
static bool symswap_taking(void)
{
	return READ_ONCE(symswap_nr_last) &&
	       time_before(jiffies, READ_ONCE(symswap_answered) + SYMSWAP_TAKEN_WITHIN);
}

bool symswap_reclaim_pause(void)
{
	mutex_lock(&symswap_reclaim_lock);
	if (!symswap_taking()) {
		symswap_forget_locked();
		return true;
	}
	mutex_unlock(&symswap_reclaim_lock);
	return false;
}

void symswap_reclaim_resume(void)
{
	mutex_unlock(&symswap_reclaim_lock);
}

/* Before the slots of the last answer are released; sleeps while the VMM may punch them. */
void symswap_reclaim_forget(void)
{
	while (!symswap_reclaim_pause())
		wait_event_timeout(symswap_reclaim_done, !symswap_taking(), HZ);
	symswap_reclaim_resume();
}

/* The VMM may never report that it is done. */
void symswap_reclaim_poll(void)
{
	if (symswap_reclaim_pause())
		symswap_reclaim_resume();
}

int symswap_reclaim(void *arg, struct sym_upcall *call)
{
	struct symswap_answer answer = {
		.run = symswap_last,
		.wanted = min_t(u64, call->arg[0], symswap.slots),
	};

	/* Hold slots beyond the limit that have become free, so that they are found. */
	symswap_hold_adjust();
	if (!symswap_reclaim_pause())
		return -EBUSY;
	/* So late that the VMM has abandoned it, and may be handling another answer. */
	if (call->arg[1] <= symswap_done_seq) {
		symswap_reclaim_resume();
		return -ECANCELED;
	}
	symswap_answer_what_there_is(&answer);
	WRITE_ONCE(symswap_answered, jiffies);
	WRITE_ONCE(symswap_nr_last, answer.runs);
	symswap_seq = call->arg[1];
	call->reply_len = answer.runs * sizeof(*answer.run);
	memcpy(call->payload, symswap_last, call->reply_len);
	call->result[0] = answer.pages;
	symswap_reclaim_resume();
	return 0;
}

/* Free slots that were punched are not lent any more; all slots may be used again. */
int symswap_reclaimed(void *arg, struct sym_upcall *call)
{
	unsigned int i, slot, runs;

	mutex_lock(&symswap_reclaim_lock);
	symswap_done_seq = max(symswap_done_seq, call->arg[0]);
	if (symswap_seq > call->arg[0]) {
		/* Late: the last answer belongs to a newer request. */
		mutex_unlock(&symswap_reclaim_lock);
		return 0;
	}
	runs = symswap_seq == call->arg[0] ? min_t(u64, call->arg[1], symswap_nr_last) : 0;
	for (i = 0; i < runs; i++) {
		if (!(symswap_last[i].flags & SYM_WINDOW_RUN_FREE))
			continue;
		for (slot = 0; slot < symswap_last[i].count; slot++)
			symswap_return(symswap_last[i].first + slot);
	}
	symswap_forget_locked();
	mutex_unlock(&symswap_reclaim_lock);
	symswap_state_show();
	return 0;
}
