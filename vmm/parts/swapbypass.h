/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SwapBypass in this VMM: the window of a VM, the guest's module for it, and what
 * symctl swapbypass asks.  swapbypass.c is its life, swapbypass_install.c brings the
 * module, swapbypass_methods.c answers, swapbypass_metrics.c counts.
 */
#ifndef VMM_PARTS_SWAPBYPASS_H
#define VMM_PARTS_SWAPBYPASS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "parts/part.h"
#include "sym/window.h"

#define SWAPBYPASS_MODULE "symswap"

struct loop_source;
struct work;

enum install_state {
	INSTALL_NONE, /* no guest is there to install it in, or it has been dealt with */
	INSTALL_WAIT, /* until install_at_ms */
	INSTALL_BUSY, /* the worker is at it */
};

/* A guest module that was found at the start: afterwards no file can be opened. */
struct swapbypass_module {
	struct swapbypass_module *next;
	char *path;
	char release[64];
	int fd;
};

struct swapbypass {
	struct part_vm *vm;
	struct sym_window *window;
	struct sym_item_window item; /* where it is; limit and level are not kept here */
	struct work *work; /* what waits for the guest's symswap module */
	struct loop_source *timer;
	struct swapbypass_module *modules;
	struct swapbypass_gauge *gauges;
	uint64_t exits; /* to userspace, for addresses in the window; atomic */
	bool syncing; /* atomic: a job is queued or running */
	bool enforcing; /* the same */
	unsigned int syncs_waiting; /* atomic: jobs of symctl that will sync the guest */

	pthread_mutex_t lock; /* guards what follows */
	enum install_state install;
	uint32_t install_generation;
	unsigned int install_tries;
	char install_failed[512]; /* why there is none, for that generation; or "" */
	uint64_t install_at_ms;
	unsigned int sync_tries; /* for a guest that could not swap to it yet */
	uint64_t sync_at_ms; /* the next try; 0: none */
};

/* Their argument is the struct swapbypass, NULL where the VM has no window. */
extern const struct control_method swapbypass_methods[];

/* swapbypass_guest_ready - its symbiotic module has registered; see struct part. */
void swapbypass_guest_ready(void *state, uint32_t generation);

/* swapbypass_level_name - of a SYM_WINDOW_*. */
const char *swapbypass_level_name(uint32_t level);

/* swapbypass_paused - the VM is, and the guest cannot be asked. */
bool swapbypass_paused(const struct swapbypass *sb);

/*
 * swapbypass_find_modules - look for symswap for all kernels.  swapbypass_install - once a
 * second: install it if the guest needs it.  swapbypass_hopeless - true when the guest has
 * no symswap and nothing is known that would bring it; why, in @why.  Any thread.
 */
int swapbypass_find_modules(struct swapbypass *sb, struct err *err);
void swapbypass_free_modules(struct swapbypass *sb);
void swapbypass_install(struct swapbypass *sb);
bool swapbypass_hopeless(struct swapbypass *sb, char *why, size_t size);

int swapbypass_metrics(struct swapbypass *sb);

#endif
