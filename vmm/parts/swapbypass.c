// SPDX-License-Identifier: BSD-2-Clause
/*
 * The window of a VM: where it is placed, and the checks once a second.
 */
#include "parts/swapbypass.h"

#include <errno.h>
#include <jansson.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "control/work.h"
#include "core/clock.h"
#include "core/config.h"
#include "core/loop.h"
#include "host/cleanup.h"
#include "host/events.h"
#include "host/metrics.h"

#define TICK_NS	      (NS_PER_S / 2)
#define COST_OF_PAGE  89 /* bytes: a struct page, and what symswap keeps of a slot */
#define SYNC_TRIES    7
#define SYNC_RETRY_MS 1000ull /* doubled each time: two minutes in all */

const char *swapbypass_level_name(uint32_t level)
{
	static const char *const names[] = { "off", "device", "bypass" };

	return level <= SYM_WINDOW_BYPASS ? names[level] : "?";
}

bool swapbypass_paused(const struct swapbypass *sb)
{
	return sb->vm->paused(sb->vm->handle);
}

void swapbypass_emit(struct swapbypass *sb, const char *name, const char *text)
{
	events_emit(sb->vm->board->events, name, json_pack("{s:o}", "reason", events_text(text)));
}

static void on_violation(void *arg, const char *text)
{
	swapbypass_emit(arg, "swapbypass_violation", text);
}

/* retry_sync - schedule another try for a guest that should swap to the window and does not. */
static bool retry_sync(struct swapbypass *sb)
{
	bool more;

	pthread_mutex_lock(&sb->lock);
	more = sb->sync_tries < SYNC_TRIES;
	sb->sync_at_ms = more ? clock_ms() + (SYNC_RETRY_MS << sb->sync_tries++) : 0;
	pthread_mutex_unlock(&sb->lock);
	return more;
}

/* Report the result as an event: no client of the control socket waits for it. */
static void report(struct swapbypass *sb, int ret, const struct sym_window_reached *reached)
{
	struct sym_item_window item;

	sym_window_get(sb->window, &item);
	if (!ret && (reached->level || !item.level))
		events_emit(sb->vm->board->events, "swapbypass_ready",
			    json_pack("{s:s, s:o}", "level",
				      swapbypass_level_name(reached->level), "reason",
				      events_text(reached->reason)));
	else if (!ret && retry_sync(sb))
		return; /* an initrd has no swapon, for example */
	else if (!ret || (!sym_window_needs_sync(sb->window) && sym_window_ready(sb->window)))
		swapbypass_emit(sb, "swapbypass_failed",
				reached->reason[0] ? reached->reason : strerror(-ret));
}

static int do_sync(void *arg, json_t **result, struct err *err)
{
	struct swapbypass *sb = arg;
	struct sym_window_reached reached;
	int ret = sym_window_sync(sb->window, &reached);

	report(sb, ret, &reached);
	__atomic_store_n(&sb->syncing, false, __ATOMIC_RELEASE);
	return 0;
}

/* Is there a change to sync, or a retry due? */
static bool sync_due(struct swapbypass *sb)
{
	bool changed = sym_window_needs_sync(sb->window), due;
	struct sym_item_window_state state;

	pthread_mutex_lock(&sb->lock);
	due = sb->sync_at_ms && clock_ms() >= sb->sync_at_ms;
	if (changed)
		sb->sync_tries = 0;
	if (changed || due)
		sb->sync_at_ms = 0;
	pthread_mutex_unlock(&sb->lock);
	/* symctl may have synced it already. */
	return changed || (due && !sym_window_state(sb->window, &state) && !state.level);
}

static int do_enforce(void *arg, json_t **result, struct err *err)
{
	struct swapbypass *sb = arg;

	sym_window_enforce(sb->window);
	__atomic_store_n(&sb->enforcing, false, __ATOMIC_RELEASE);
	return 0;
}

void swapbypass_post(struct swapbypass *sb, struct work *work, bool *busy, work_fn fn)
{
	if (!__atomic_exchange_n(busy, true, __ATOMIC_ACQ_REL) && work_post(work, fn, sb, NULL))
		__atomic_store_n(busy, false, __ATOMIC_RELEASE);
}

/* Once a second. */
static void watch(struct swapbypass *sb)
{
	if (swapbypass_paused(sb))
		return;
	if (sym_window_watch(sb->window))
		swapbypass_post(sb, sb->work, &sb->enforcing, do_enforce);
	swapbypass_install(sb);
	if (!__atomic_load_n(&sb->syncing, __ATOMIC_ACQUIRE) &&
	    !__atomic_load_n(&sb->syncs_waiting, __ATOMIC_ACQUIRE) && sync_due(sb))
		swapbypass_post(sb, sb->work, &sb->syncing, do_sync);
}

static void on_tick(void *arg, uint32_t events)
{
	struct swapbypass *sb = arg;

	loop_arm(sb->timer, TICK_NS);
	if (sb->vm->config->swapbypass_file)
		swapbypass_file_check(sb);
	if (sb->ticks++ % 2)
		watch(sb);
}

/* Above everything else, where nothing can be in its way. */
static int choose_gpa(struct part_vm *vm, uint64_t *gpa, struct err *err)
{
	uint64_t top = gmem_top(&vm->board->mem), size = vm->config->swapbypass;

	*gpa = (top + SYM_WINDOW_ALIGN - 1) / SYM_WINDOW_ALIGN * SYM_WINDOW_ALIGN;
	if (vm->phys_bits < 64 && *gpa + size > 1ull << vm->phys_bits)
		return err_set(err, -E2BIG,
			       "--swapbypass %lluM: does not fit above the RAM in the "
			       "%u address bits of this host's guests",
			       (unsigned long long)size >> 20, vm->phys_bits);
	return 0;
}

static int make_window(struct swapbypass *sb, struct err *err)
{
	const struct vm_config *c = sb->vm->config;
	struct sym_window_config config = {
		.size = sizeof(config),
		.bytes = c->swapbypass,
		.limit = c->swapbypass_limit ? c->swapbypass_limit : c->swapbypass,
		.level = SYM_WINDOW_BYPASS,
		.file = c->swapbypass_file,
		.name = c->name,
		.violation = on_violation,
		.arg = sb,
	};
	struct sym_err why = { 0 };
	int ret = choose_gpa(sb->vm, &config.gpa, err);

	if (ret)
		return ret;
	ret = sym_window_create(sb->vm->sym, sb->vm->ops, sb->vm->handle, &config, &sb->window,
				&why);
	if (ret)
		return err_set(err, ret, "--swapbypass%s: %s", c->swapbypass_file ? "-file" : "",
			       why.text);
	sym_window_get(sb->window, &sb->item);
	if (sym_window_made_file(sb->window))
		ret = cleanup_add(c->swapbypass_file, CLEANUP_IF_EMPTY);
	return ret ? err_set(err, ret, "--swapbypass-file %s: %s", c->swapbypass_file,
			     strerror(-ret)) :
		     0;
}

/* What the guest's module allocates; it refuses a window that takes half of what is available. */
static void warn_of_cost(const struct swapbypass *sb)
{
	const struct vm_config *c = sb->vm->config;
	uint64_t cost = c->swapbypass / SYM_PAGE_SIZE * COST_OF_PAGE;

	if (cost > c->memory / 8)
		log_warn("--swapbypass: a window of %lluM takes up to %lluM of the guest's RAM, "
			 "which is %lluM",
			 (unsigned long long)c->swapbypass >> 20, (unsigned long long)cost >> 20,
			 (unsigned long long)c->memory >> 20);
}

static void report_leftover(const struct swapbypass *sb)
{
	const char *file = sb->vm->config->swapbypass_file;
	const char *name = sym_window_leftover(sb->window);

	if (!name)
		return;
	log_warn("--swapbypass-file: %s: discarded the contents left by VM %s, which did not end "
		 "properly",
		 file, name);
	events_emit(sb->vm->board->events, "swapbypass_discarded",
		    json_pack("{s:o, s:o}", "file", events_text(file), "vm", events_text(name)));
}

static int start(struct swapbypass *sb, struct err *err)
{
	struct part_vm *vm = sb->vm;
	int ret = swapbypass_find_modules(sb, err);

	if (ret)
		return ret;
	ret = work_create(vm->board->loop, "swapbypass", &sb->work);
	if (!ret && vm->config->swapbypass_file)
		ret = work_create(vm->board->loop, "window-file", &sb->file_work);
	if (!ret)
		ret = swapbypass_metrics(sb);
	if (!ret)
		ret = loop_add_timer(vm->board->loop, on_tick, sb, &sb->timer);
	if (!ret)
		ret = loop_arm(sb->timer, TICK_NS);
	return ret ? err_set(err, ret, "--swapbypass: %s", strerror(-ret)) : 0;
}

static int swapbypass_create(struct part_vm *vm, void **state, struct err *err)
{
	struct swapbypass *sb;
	int ret;

	if (!vm->config->swapbypass)
		return 0;
	sb = calloc(1, sizeof(*sb));
	if (!sb)
		return err_set(err, -ENOMEM, "--swapbypass: out of memory");
	sb->vm = vm;
	pthread_mutex_init(&sb->lock, NULL);
	*state = sb;
	ret = make_window(sb, err);
	if (!ret)
		ret = start(sb, err);
	if (!ret) {
		report_leftover(sb);
		warn_of_cost(sb);
	}
	return ret;
}

static void swapbypass_stop(void *state)
{
	struct swapbypass *sb = state;

	if (sb->timer)
		loop_del(sb->timer);
	sb->timer = NULL;
	work_destroy(sb->work);
	work_destroy(sb->file_work);
	sb->work = sb->file_work = NULL;
}

static void swapbypass_destroy(void *state)
{
	struct swapbypass *sb = state;

	sym_window_destroy(sb->window);
	swapbypass_free_modules(sb);
	pthread_mutex_destroy(&sb->lock);
	free(sb->gauges);
	free(sb);
}

static void swapbypass_reset(void *state)
{
	struct swapbypass *sb = state;
	int ret;

	pthread_mutex_lock(&sb->lock);
	sb->install = INSTALL_NONE;
	sb->sync_at_ms = 0;
	pthread_mutex_unlock(&sb->lock);
	ret = sym_window_reset(sb->window);
	if (!ret)
		return;
	log_warn("--swapbypass: the window keeps the contents of the last boot: %s",
		 strerror(-ret));
	swapbypass_emit(sb, "swapbypass_failed", "the window could not be emptied");
}

static bool swapbypass_exit(void *state, unsigned int vcpu, struct kvm_run *run, int ret)
{
	struct swapbypass *sb = state;

	if (!ret && run->exit_reason == KVM_EXIT_MMIO && run->mmio.phys_addr >= sb->item.gpa &&
	    run->mmio.phys_addr - sb->item.gpa < sb->item.size)
		counter_add(&sb->exits, 1);
	return false;
}

const struct part part_swapbypass = {
	.create = swapbypass_create,
	.stop = swapbypass_stop,
	.reset = swapbypass_reset,
	.destroy = swapbypass_destroy,
	.guest_ready = swapbypass_guest_ready,
	.exit = swapbypass_exit,
	.bad_page = swapbypass_bad_page,
	.methods = swapbypass_methods,
};
