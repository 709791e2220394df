/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SwapBypass in this VMM: the window of a VM (swapbypass.c), installing the guest's module
 * (swapbypass_install.c), the method of symctl swapbypass (swapbypass_methods.c), metrics
 * (swapbypass_metrics.c).
 */
#ifndef VMM_PARTS_SWAPBYPASS_H
#define VMM_PARTS_SWAPBYPASS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "control/work.h"
#include "core/err.h"
#include "parts/part.h"
#include "sym/window.h"

#define SWAPBYPASS_MODULE "symswap"

struct loop_source;

enum install_state {
	INSTALL_NONE, /* no guest to install it in, or done with it */
	INSTALL_WAIT, /* until install_at_ms */
	INSTALL_BUSY, /* the worker is installing it */
};

/* A guest module, opened at the start: no file can be opened later. */
struct swapbypass_module {
	struct swapbypass_module *next;
	char *path;
	char release[64];
	int fd;
};

struct swapbypass {
	struct part_vm *vm;
	struct sym_window *window;
	struct sym_item_window item; /* address and size; limit and level are not updated here */
	struct work *work; /* for jobs that wait for the guest's symswap module */
	struct work *file_work; /* for checks of the file, which must not wait for the guest */
	struct loop_source *timer;
	struct swapbypass_module *modules;
	struct swapbypass_gauge *gauges;
	uint64_t exits; /* to userspace, for addresses in the window; atomic */
	bool syncing; /* atomic: a job is queued or running */
	bool enforcing; /* the same */
	bool checking; /* the same */
	unsigned int syncs_waiting; /* atomic: jobs of symctl that will sync the guest */

	pthread_mutex_t lock; /* guards what follows */
	enum install_state install;
	uint32_t install_generation;
	unsigned int install_tries;
	char install_failed[512]; /* why that generation has no module, or "" */
	uint64_t install_at_ms;
	unsigned int sync_tries; /* for a guest that could not swap to it yet */
	uint64_t sync_at_ms; /* the next try; 0: none */
	int file_ret; /* of the last check of the file, */
	struct sym_err file_err; /* and why it failed */

	bool bad_page; /* atomic: a vCPU cannot reach a page of the guest */

	/* Loop's thread. */
	bool file_held; /* the VM is paused because of it */
	bool file_bad; /* and its owner was told */
	uint64_t retry_at_ms, bad_until_ms; /* after a bad page */
	unsigned int ticks;
};

/* Their argument is the struct swapbypass, NULL if the VM has no window. */
extern const struct control_method swapbypass_methods[];

/* swapbypass_guest_ready - the guest's symbiotic module has registered; see struct part. */
void swapbypass_guest_ready(void *state, uint32_t generation);

/* swapbypass_level_name - of a SYM_WINDOW_*. */
const char *swapbypass_level_name(uint32_t level);

/* swapbypass_paused - the VM is paused, and its guest cannot be called. */
bool swapbypass_paused(const struct swapbypass *sb);

/*
 * swapbypass_find_modules - open symswap for all kernels.
 * swapbypass_install - install it if the guest needs it; called once a second.
 * swapbypass_hopeless - true if the guest has no symswap and cannot get it; @why gets the
 * reason.  Any thread.
 */
int swapbypass_find_modules(struct swapbypass *sb, struct err *err);
void swapbypass_free_modules(struct swapbypass *sb);
void swapbypass_install(struct swapbypass *sb);
bool swapbypass_hopeless(struct swapbypass *sb, char *why, size_t size);

int swapbypass_metrics(struct swapbypass *sb);

/* swapbypass_post - have @work run @fn, which clears @busy at its end; not if it is set. */
void swapbypass_post(struct swapbypass *sb, struct work *work, bool *busy, work_fn fn);

/* swapbypass_emit - an event with a reason. */
void swapbypass_emit(struct swapbypass *sb, const char *name, const char *text);

/*
 * swapbypass_file_check - pause, continue or end the VM as its file requires; twice a second.
 * swapbypass_bad_page - see struct part.
 */
void swapbypass_file_check(struct swapbypass *sb);
bool swapbypass_bad_page(void *state);

#endif
