/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SwapBypass, the VMM's half: memory lent to a guest to swap to.  The VMM creates a window,
 * shows it, sets its limit and level, and takes pages back.  docs/embedding.md describes what a
 * VMM adds.
 *
 * Functions return 0 or a negative errno unless said otherwise.  Any thread may call them,
 * but those that say "waits" call the guest: not from a vCPU's thread, and sync, reclaim and
 * enforce one at a time.  Every wait has a deadline.
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

/* Tolerance: what a guest may have beyond its limit; with a file, SIZE/128 more. */
#define SYM_WINDOW_SLACK    (64ull * SYM_PAGE_SIZE)
#define SYM_WINDOW_GRACE_MS 10000 /* for how long it may have even more */

struct sym_window;

struct sym_window_config {
	size_t size; /* sizeof(struct sym_window_config) */
	uint64_t gpa; /* SYM_WINDOW_ALIGNed, outside RAM, below the guest's address width */
	uint64_t bytes; /* page multiple, SYM_WINDOW_MIN to SYM_WINDOW_MAX */
	uint64_t limit; /* bytes that the guest may use; page multiple, not 0 */
	uint32_t level; /* SYM_WINDOW_*: wanted */
	const char *file; /* holds the window; NULL: a memfd */
	const char *name; /* of the VM, for the file's mark */
	/* The guest exceeded its limit; @text is one line.  Any thread, no lock held; or NULL. */
	void (*violation)(void *arg, const char *text);
	void *arg;
};

/*
 * sym_window_create - create the window, add it to the VM by @ops->region_add, and show it.
 * @sym offers SYM_FEATURE_WINDOW.  Strings are copied; @ops and @sym must outlive the window.
 * sym_window_destroy - remove it; no vCPU may run.  A file is left empty, or removed if it was
 * created here.
 */
int sym_window_create(struct sym *sym, const struct sym_host_ops *ops, void *vm,
		      const struct sym_window_config *config, struct sym_window **out,
		      struct sym_err *err);
void sym_window_destroy(struct sym_window *window);

/* sym_window_leftover - the VM that left the file behind when it was killed, or NULL. */
const char *sym_window_leftover(const struct sym_window *window);

/* sym_window_made_file - true if the file was created here; it is removed at the end. */
bool sym_window_made_file(const struct sym_window *window);

/*
 * sym_window_reset - empty the window when the guest is reset: after sym_reset(),
 * while no vCPU runs.  0, or -errno: it still has the contents that it had.
 */
int sym_window_reset(struct sym_window *window);

/* sym_window_get - the window as it is shown to the guest. */
void sym_window_get(struct sym_window *window, struct sym_item_window *item);

/* sym_window_lent - bytes of it that the host has allocated, as the host counts them. */
uint64_t sym_window_lent(const struct sym_window *window);

/*
 * sym_window_set_level, sym_window_set_limit - set the level or limit wanted and show it.
 * sym_window_sync() has the guest apply it.
 */
int sym_window_set_level(struct sym_window *window, uint32_t level);
int sym_window_set_limit(struct sym_window *window, uint64_t limit);

/* What the guest reached. */
struct sym_window_reached {
	uint32_t level; /* SYM_WINDOW_* */
	char reason[128]; /* why it is not the one wanted; printable, "" */
};

/*
 * sym_window_sync - have the guest apply level and limit; waits, up to two minutes (level off
 * is a swapoff).  -ENODEV, -ENOSYS: the guest has no symswap module (yet).
 * sym_window_needs_sync - the guest has one that has not acknowledged the last change.
 */
int sym_window_sync(struct sym_window *window, struct sym_window_reached *reached);
bool sym_window_needs_sync(struct sym_window *window);

/* sym_window_ready - the guest has a symswap module. */
bool sym_window_ready(struct sym_window *window);

/*
 * sym_window_state - what the guest shows; its text is turned into one printable line.
 * sym_window_refresh - have the guest update that; waits, five seconds at most.
 */
int sym_window_state(struct sym_window *window, struct sym_item_window_state *state);
int sym_window_refresh(struct sym_window *window);

struct sym_window_reclaimed {
	uint64_t punched; /* bytes that were given back to the host */
	uint64_t evicted; /* bytes that were moved to the file, or to the host's swap */
};

/*
 * sym_window_reclaim - get up to @bytes back from the guest, coldest first; waits, a minute
 * at most.  -EPROTO: the guest's answer is not valid.  @out is set after an error, too.
 */
int sym_window_reclaim(struct sym_window *window, uint64_t bytes,
		       struct sym_window_reclaimed *out);

/*
 * sym_window_watch - measure, once a second.  True: the guest has had more than its limit, or
 * much that it does not use, for too long; call sym_window_enforce(), which waits.
 * sym_window_idle_returned - bytes that the guest gave back because it did not use them, so far.
 */
bool sym_window_watch(struct sym_window *window);
void sym_window_enforce(struct sym_window *window);
uint64_t sym_window_idle_returned(struct sym_window *window);

/*
 * sym_window_check - check the file, if there is one; for one thread at a time, twice a second.
 * It may wait for the file system.  0; -ESTALE: the file was cut, and the guest cannot continue;
 * another error, -ENOSPC for example: the guest must not run until a check succeeds.  @err has
 * the reason.
 */
int sym_window_check(struct sym_window *window, struct sym_err *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
