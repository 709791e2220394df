// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sending a module into a running guest, by the handlers that its symbiotic module has for
 * this (see abi.h), and having it loaded there; or having the guest load one of its own.  The
 * guest may answer what it likes: the number of steps is bounded by the size of the module, and
 * nothing but the module's own bytes goes over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "sym/host.h"
#include "symbiotic/sym.h"
#include "sym/symmod.h"

#define DATA_DEADLINE_MS 5000u
#define LOAD_DEADLINE_MS 30000u
#define MODPROBE_MS	 25000u /* so that the guest can still say that it took too long */
#define TOTAL_DEADLINE_MS 120000u /* of all steps together, whatever the guest does in between */
#define TRIES 3 /* of a transfer that the guest found damaged */
#define DAMAGED 1
#define BUSY_TRIES 100
#define BUSY_PAUSE_MS 10

struct transfer {
	struct sym *sym;
	unsigned int vcpu;
	struct symmod_err *err;
	uint64_t until_ms; /* no step begins after that; sym_now_ms() */
	char reply[256]; /* what the guest said */
	uint64_t value;
};

static struct transfer transfer_new(struct sym *sym, struct symmod_err *err)
{
	return (struct transfer){ .sym = sym, .err = err,
				  .until_ms = sym_now_ms() + TOTAL_DEADLINE_MS };
}

static int not_ready(struct symmod_err *err)
{
	return symmod_fail(err, -ENODEV,
			   "the guest is not ready: no symbiotic module has registered there");
}

/* What the guest said is made a line of printable characters. */
static void keep_reply(struct transfer *t, const uint8_t *reply, size_t len)
{
	size_t n = 0;

	for (; n < len && n < sizeof(t->reply) - 1 && reply[n]; n++)
		t->reply[n] = reply[n] < 0x20 || reply[n] > 0x7e ? ' ' : reply[n];
	while (n && t->reply[n - 1] == ' ')
		n--;
	t->reply[n] = '\0';
}

static int call_once(struct transfer *t, struct sym_call *call, const char *handler)
{
	struct sym_item_handler found;
	int ret = sym_handler_find(t->sym, handler, &found);

	if (ret)
		return ret;
	call->handler = found.number;
	call->context = SYM_CONTEXT_THREAD;
	return sym_call_wait(t->sym, t->vcpu, call);
}

/* Is there another vCPU to try? */
static bool next_vcpu(struct transfer *t)
{
	struct sym_item_task task;

	if (sym_spy_task(t->sym, t->vcpu + 1, &task) == -EINVAL)
		return false;
	t->vcpu++;
	return true;
}

/* What is left for a step that may take @most; 0: nothing. */
static uint32_t step_deadline(const struct transfer *t, uint32_t most)
{
	uint64_t now = sym_now_ms();

	if (now >= t->until_ms)
		return 0;
	return t->until_ms - now < most ? t->until_ms - now : most;
}

/*
 * One handler, on the first vCPU that takes the call.  One that is busy, or in a state in
 * which it cannot be called, is asked again for a while.
 */
static int call(struct transfer *t, const char *handler, uint64_t arg0, uint64_t arg1,
		const void *payload, size_t len)
{
	static const struct timespec pause = { .tv_nsec = BUSY_PAUSE_MS * 1000000 };
	bool data = !strcmp(handler, SYM_MOD_DATA);
	uint8_t reply[sizeof(t->reply)];
	int ret, busy = 0;

	for (;;) {
		struct sym_call c = {
			.arg = { arg0, arg1 },
			.payload = payload,
			.payload_len = len,
			.deadline_ms = step_deadline(t, data ? DATA_DEADLINE_MS :
							       LOAD_DEADLINE_MS),
			.reply = reply,
			.reply_max = sizeof(reply),
		};

		ret = c.deadline_ms ? call_once(t, &c, handler) : -ETIMEDOUT;
		if ((ret == -EBUSY || ret == -EAGAIN) && busy++ < BUSY_TRIES) {
			nanosleep(&pause, NULL);
			continue;
		}
		if ((ret == -ENODEV || ret == -ESHUTDOWN) && next_vcpu(t))
			continue;
		t->value = c.value[0];
		keep_reply(t, reply, c.reply_len < sizeof(reply) ? c.reply_len : sizeof(reply));
		return ret;
	}
}

/* Why a step failed, where the guest has not said what is wrong with the module. */
static int step_failed(struct transfer *t, int code, const char *name, const char *step)
{
	switch (code) {
	case -ENODEV:
	case -ESHUTDOWN:
		return not_ready(t->err);
	case -ENOSYS:
		return symmod_fail(t->err, code,
				   "the guest is not ready: its symbiotic module takes no modules");
	case -EAGAIN:
		return symmod_fail(t->err, code,
				   "the guest is not ready: it is paused, or cannot be called now");
	case -ETIMEDOUT:
		return symmod_fail(t->err, code, "module %s: the guest did not answer in time (%s)",
				   name, step);
	case -ECANCELED:
		return symmod_fail(t->err, code,
				   "module %s: the guest was reset meanwhile, or its symbiotic module left",
				   name);
	default:
		return symmod_fail(t->err, code, "module %s: the guest refused it (%s): %s", name,
				   step, t->reply[0] ? t->reply : strerror(-code));
	}
}

/* Is it among the symbiotic modules that the guest has? */
static bool guest_has(struct sym *sym, const char *name)
{
	const struct sym_item *item = NULL;
	struct sym_item_module module;
	void *page = malloc(SYM_SPY_GUEST_SIZE);
	bool found = symmod_name_equal(name, "symbiotic"); /* or who would be talking to us? */

	if (page && !sym_spy_read(sym, page))
		while (!found && (item = sym_spy_next(page, item))) {
			if (item->type != SYM_ITEM_MODULE || item->len < sizeof(module))
				continue;
			memcpy(&module, item + 1, sizeof(module));
			module.name[sizeof(module.name) - 1] = '\0';
			found = symmod_name_equal(module.name, name);
		}
	free(page);
	return found;
}

static int need_all(struct transfer *t, const struct symmod_image *image)
{
	for (unsigned int i = 0; i < image->nr_depends; i++) {
		const char *name = image->depends[i];
		int ret;

		if (guest_has(t->sym, name))
			continue;
		ret = call(t, SYM_MOD_NEED, 0, 0, name, strlen(name));
		if (ret == -ENODEV || ret == -ESHUTDOWN || ret == -ENOSYS || ret == -ETIMEDOUT ||
		    ret == -ECANCELED || ret == -EAGAIN)
			return step_failed(t, ret, image->name, "dependencies");
		if (ret)
			return symmod_fail(t->err, -ENOENT,
					   "module %s needs module %s, which the guest has not%s%s",
					   image->name, name, t->reply[0] ? ": " : "", t->reply);
	}
	return 0;
}

/* Does the guest say that what it has is not what was sent?  Then begin again. */
static bool damaged(int ret)
{
	return ret == -EBADMSG || ret == -ENODATA;
}

/* From where an earlier try ended.  Returns DAMAGED to be called once more. */
static int send(struct transfer *t, const struct symmod_image *image, const char *params)
{
	uint64_t hash = XXH64(image->data, image->size, 0), at;
	int ret = call(t, SYM_MOD_BEGIN, image->size, hash, image->name, strlen(image->name));

	if (ret)
		return step_failed(t, ret, image->name, "begin");
	for (at = t->value <= image->size ? t->value : 0; at < image->size; ) {
		size_t n = image->size - at < SYM_CALL_PAYLOAD ? image->size - at :
								 SYM_CALL_PAYLOAD;

		ret = call(t, SYM_MOD_DATA, at, 0, (const char *)image->data + at, n);
		if (damaged(ret))
			return DAMAGED;
		if (ret)
			return step_failed(t, ret, image->name, "transfer");
		at += n;
	}
	ret = call(t, SYM_MOD_INSTALL, 0, 0, params, strlen(params));
	if (damaged(ret))
		return DAMAGED;
	return ret ? step_failed(t, ret, image->name, "load") : 0;
}

/* Does the guest take modules, and not have @name? */
static int check_ready(struct sym *sym, const char *name, struct symmod_err *err)
{
	if (!sym_generation(sym))
		return not_ready(err);
	if (!(sym_granted(sym) & SYM_FEATURE_MODULES))
		return symmod_fail(err, -ENOTSUP,
				   "the guest is not ready: its symbiotic module takes no modules");
	if (guest_has(sym, name))
		return symmod_fail(err, -EEXIST, "module %s is in the guest already", name);
	return 0;
}

static int check_guest(struct sym *sym, const struct symmod_image *image,
		       struct symmod_err *err)
{
	struct sym_item_kernel kernel;
	int ret = check_ready(sym, image->name, err);

	if (ret)
		return ret;
	if (sym_spy_get(sym, SYM_ITEM_KERNEL, &kernel, sizeof(kernel)))
		return not_ready(err);
	kernel.release[sizeof(kernel.release) - 1] = '\0';
	return symmod_match(image, kernel.release, err);
}

static int check_length(const char *name, const char *params, struct symmod_err *err)
{
	if (strlen(params) <= SYMMOD_MAX_PARAMS)
		return 0;
	return symmod_fail(err, -E2BIG, "module %s: more than %d bytes of parameters", name,
			   SYMMOD_MAX_PARAMS);
}

int symmod_install(struct sym *sym, const struct symmod_image *image, const char *params,
		   struct symmod_err *err)
{
	struct transfer t = transfer_new(sym, err);
	int ret = check_guest(sym, image, err);

	if (ret)
		return ret;
	if (!params)
		params = "";
	ret = check_length(image->name, params, err);
	if (!ret)
		ret = symmod_check_params(image, params, err);
	if (!ret)
		ret = need_all(&t, image);
	if (ret)
		return ret;
	for (int i = 0; i < TRIES; i++) {
		ret = send(&t, image, params);
		if (ret != DAMAGED)
			return ret;
	}
	return symmod_fail(err, -EIO, "module %s: arrived damaged %d times", image->name, TRIES);
}

/* Why the guest has not loaded one of its own. */
static int load_failed(struct transfer *t, int code, const char *name)
{
	switch (code) {
	case -ENOSYS: /* of an older version */
		return symmod_fail(t->err, code,
				   "module %s: the guest's symbiotic module cannot ask its modprobe",
				   name);
	case -ENOENT:
		return symmod_fail(t->err, code, "module %s: the guest has no modprobe", name);
	case -EIO:
		return symmod_fail(t->err, code, "module %s: the guest's modprobe failed: %s", name,
				   t->reply[0] ? t->reply : "it does not say why");
	default:
		return step_failed(t, code, name, "modprobe");
	}
}

int symmod_load(struct sym *sym, const char *name, const char *params, struct symmod_err *err)
{
	struct transfer t = transfer_new(sym, err);
	char text[SYM_NAME_LEN + SYMMOD_MAX_PARAMS + 1];
	int ret;

	if (!params)
		params = "";
	if (!symmod_name_ok(name))
		return symmod_fail(err, -EINVAL, "'%.64s' cannot be the name of a module", name);
	ret = check_ready(sym, name, err);
	if (!ret)
		ret = check_length(name, params, err);
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "%s %s", name, params);
	ret = call(&t, SYM_MOD_LOAD, MODPROBE_MS, 0, text, strlen(text));
	return ret ? load_failed(&t, ret, name) : 0;
}

int symmod_remove(struct sym *sym, const char *name, struct symmod_err *err)
{
	struct transfer t = transfer_new(sym, err);
	int ret;

	if (!symmod_name_ok(name))
		return symmod_fail(err, -EINVAL, "'%.64s' cannot be the name of a module", name);
	if (!sym_generation(sym))
		return not_ready(err);
	ret = call(&t, SYM_MOD_REMOVE, 0, 0, name, strlen(name));
	return ret ? step_failed(&t, ret, name, "unload") : 0;
}
