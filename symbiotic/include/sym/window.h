/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SwapBypass, the VMM's half: memory that is lent to a guest to swap to.  The VMM makes a
 * window, shows it, says how much of it may be used and how, and takes pages back.
 * docs/embedding.md says what a VMM adds.
 *
 * Functions return 0 or a negative errno unless said otherwise.  Any thread may call them,
 * but those that say "waits" call the guest: not from a vCPU's thread, and tell, reclaim and
 * enforce one at a time.  Nothing waits without a deadline.
 */
#ifndef SYM_WINDOW_H
#define SYM_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sym/err.h"
#include "sym/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define SYM_WINDOW_MIN	 (1ull << 20) /* bytes */
#define SYM_WINDOW_MAX	 (1ull << 40)
#define SYM_WINDOW_ALIGN (1ull << 30) /* of its GPA */

/* What a guest may have beyond its limit before that counts; with a file, SIZE/128 more. */
#define SYM_WINDOW_SLACK    (64ull * SYM_PAGE_SIZE)
#define SYM_WINDOW_GRACE_MS 10000 /* and for how long it may have more */

struct sym_window;

struct sym_window_config {
	size_t size; /* sizeof(struct sym_window_config) */
	uint64_t gpa; /* SYM_WINDOW_ALIGNed, outside RAM, below the guest's address width */
	uint64_t bytes; /* page multiple, SYM_WINDOW_MIN to SYM_WINDOW_MAX */
	uint64_t limit; /* bytes that the guest may use; page multiple, not 0 */
	uint32_t level; /* SYM_WINDOW_*: wanted */
	const char *file; /* where it lies; NULL: in memory alone */
	const char *name; /* of the VM, for the file's mark */
	/* The guest broke its limit, in one line.  Any thread, no lock held.  May be NULL. */
	void (*violation)(void *arg, const char *text);
	void *arg;
};

/*
 * sym_window_create - make the window, add it to the VM by @ops->region_add, and show it.
 * @sym has SYM_FEATURE_WINDOW on offer; strings are copied; ops and @sym must stay.
 * sym_window_destroy - take it away; no vCPU runs any more.  A file is left empty, or
 * removed if it was made here.
 */
int sym_window_create(struct sym *sym, const struct sym_host_ops *ops, void *vm,
		      const struct sym_window_config *config, struct sym_window **out,
		      struct sym_err *err);
void sym_window_destroy(struct sym_window *window);

/* sym_window_leftover - the VM that left the file behind when it was killed, or NULL. */
const char *sym_window_leftover(const struct sym_window *window);

/* sym_window_made_file - was the file not there before?  Then it is removed at the end. */
bool sym_window_made_file(const struct sym_window *window);

/*
 * sym_window_reset - empty the window, for a guest that starts anew: after sym_reset(),
 * while no vCPU runs.
 */
void sym_window_reset(struct sym_window *window);

/* sym_window_get - the window as it is shown to the guest. */
void sym_window_get(struct sym_window *window, struct sym_item_window *item);

/* sym_window_lent - bytes of it that the host has given, as the host counts them. */
uint64_t sym_window_lent(const struct sym_window *window);

/*
 * sym_window_set_level, sym_window_set_limit - what is wanted from now on: remembered and
 * shown.  The guest hears of it by sym_window_tell().
 */
int sym_window_set_level(struct sym_window *window, uint32_t level);
int sym_window_set_limit(struct sym_window *window, uint64_t limit);

/* What the guest made of it. */
struct sym_window_told {
	uint32_t level; /* SYM_WINDOW_* that was reached */
	char reason[128]; /* why it is not the one wanted; printable, "" */
};

/*
 * sym_window_tell - have the guest do what is wanted; waits, up to two minutes (level off
 * is a swapoff).  -ENODEV, -ENOSYS: the guest has no symswap module (yet).
 * sym_window_untold - the guest has one that has not heard yet.
 */
int sym_window_tell(struct sym_window *window, struct sym_window_told *told);
bool sym_window_untold(struct sym_window *window);

/* sym_window_ready - the guest has a symswap module. */
bool sym_window_ready(struct sym_window *window);

/*
 * sym_window_state - what the guest shows; its text is made one printable line.
 * sym_window_refresh - have the guest renew that; waits, five seconds at most.
 */
int sym_window_state(struct sym_window *window, struct sym_item_window_state *state);
int sym_window_refresh(struct sym_window *window);

struct sym_window_reclaimed {
	uint64_t punched; /* bytes that were given back to the host */
	uint64_t evicted; /* bytes that went out to the file, or to the host's swap */
};

/*
 * sym_window_reclaim - get @bytes back from the guest, coldest first, until there are no
 * more; waits, a minute at most.  -EPROTO: the guest's answer made no sense.  After an
 * error @out says how far it got.
 */
int sym_window_reclaim(struct sym_window *window, uint64_t bytes,
		       struct sym_window_reclaimed *out);

/*
 * sym_window_watch - measure, once a second.  True: the guest has had more than its limit
 * for too long; call sym_window_enforce(), which waits.
 */
bool sym_window_watch(struct sym_window *window);
void sym_window_enforce(struct sym_window *window);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
