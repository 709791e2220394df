// SPDX-License-Identifier: BSD-2-Clause
/*
 * A window in a file.  The guest does not run while the file has no room or a page of it cannot
 * be read or written, and ends when pages of it are lost.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/config.h"
#include "host/events.h"
#include "parts/swapbypass.h"

#define RETRY_MS  5000ull /* after an error, the guest runs again, and touches the same page */
#define SETTLE_MS 10000ull /* without another: all is well */

static const char bad_page[] = "a page of the guest cannot be read or written, "
			       "probably because of an I/O error";

static int do_check(void *arg, json_t **result, struct err *err)
{
	struct swapbypass *sb = arg;
	struct sym_err why = { 0 };
	int ret = sym_window_check(sb->window, &why);

	pthread_mutex_lock(&sb->lock);
	sb->file_ret = ret;
	sb->file_err = why;
	pthread_mutex_unlock(&sb->lock);
	__atomic_store_n(&sb->checking, false, __ATOMIC_RELEASE);
	return 0;
}

/* No system call that fails tells when the page is there again: only trying does. */
static int check_bad_page(struct swapbypass *sb, struct sym_err *why)
{
	uint64_t now = clock_ms();

	if (__atomic_exchange_n(&sb->bad_page, false, __ATOMIC_ACQ_REL)) {
		sb->bad_until_ms = now + SETTLE_MS;
		sb->retry_at_ms = now + RETRY_MS;
	}
	if (now >= sb->bad_until_ms || now >= sb->retry_at_ms)
		return 0;
	snprintf(why->text, sizeof(why->text), "%s: %s", sb->vm->config->swapbypass_file,
		 bad_page);
	return -EIO;
}

static void tell(struct swapbypass *sb, int ret, const char *why)
{
	if (ret && !sb->file_bad) {
		log_warn("--swapbypass-file: %s; the VM is paused", why);
		swapbypass_emit(
			sb, ret == -EIO ? "swapbypass_file_error" : "swapbypass_file_full", why);
		sb->file_bad = true;
	} else if (!ret && sb->file_bad && clock_ms() >= sb->bad_until_ms) {
		log_warn("--swapbypass-file: the guest can continue");
		events_emit(sb->vm->board->events, "swapbypass_file_ready", NULL);
		sb->file_bad = false;
	}
}

static void apply_check(struct swapbypass *sb)
{
	struct sym_err why;
	int ret;

	pthread_mutex_lock(&sb->lock);
	ret = sb->file_ret;
	why = sb->file_err;
	pthread_mutex_unlock(&sb->lock);
	if (ret == -ESTALE) {
		board_stop(sb->vm->board, VM_STOP_ERROR, "--swapbypass-file: %s", why.text);
		return;
	}
	if (!ret)
		ret = check_bad_page(sb, &why);
	tell(sb, ret, why.text);
	if (ret || sb->file_held)
		sb->vm->hold(sb->vm->handle, ret ? why.text : NULL);
	sb->file_held = ret;
}

void swapbypass_file_check(struct swapbypass *sb)
{
	apply_check(sb);
	swapbypass_post(sb, sb->file_work, &sb->checking, do_check);
}

bool swapbypass_bad_page(void *state)
{
	const struct timespec moment = { .tv_nsec = NS_PER_S / 20 };
	struct swapbypass *sb = state;

	if (!sb->vm->config->swapbypass_file)
		return false;
	__atomic_store_n(&sb->bad_page, true, __ATOMIC_RELEASE);
	/* Until the loop's thread has paused the VM, do not spin; a kick ends this. */
	nanosleep(&moment, NULL);
	return true;
}
