// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sending a module into a running guest, by the handlers that its symbiotic module has for
 * this (see abi.h), and having it loaded there; or having the guest load one of its own.  The
 * guest may answer anything: the number of steps is bounded by the size of the module, and
 * nothing but the module's own bytes is sent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sym/host.h"
#include "sym/symmod.h"
#include "symbiotic/sym.h"
#include "symbiotic/text.h"

#define DATA_DEADLINE_MS  5000u
#define LOAD_DEADLINE_MS  30000u
#define MODPROBE_MS	  25000u /* below the call's deadline, so that the guest can report it */
#define TOTAL_DEADLINE_MS 120000u /* for all steps together, whatever the guest answers */
#define TRIES		  3 /* of a transfer that arrives damaged */
#define DAMAGED		  1

struct transfer {
	struct sym *sym;
	unsigned int vcpu;
	struct sym_err *err;
	uint64_t until_ms; /* no step begins after this time; sym_now_ms() */
	char reply[256]; /* the guest's text */
	uint64_t value;
};

static struct transfer transfer_new(struct sym *sym, struct sym_err *err)
{
	return (struct transfer){ .sym = sym,
				  .err = err,
				  .until_ms = sym_now_ms() + TOTAL_DEADLINE_MS };
}

static int not_ready(struct sym_err *err)
{
	return sym_fail(err, -ENODEV, "%s", sym_call_strerror(-ENODEV));
}

/* The time left for a step that may take @most; 0: none. */
static uint32_t step_deadline(const struct transfer *t, uint32_t most)
{
	uint64_t now = sym_now_ms();

	if (now >= t->until_ms)
		return 0;
	return t->until_ms - now < most ? t->until_ms - now : most;
}

/* Call a handler, on the first vCPU that takes the call. */
static int call(struct transfer *t, const char *handler, uint64_t arg0, uint64_t arg1,
		const void *payload, size_t len)
{
	bool data = !strcmp(handler, SYM_MOD_DATA);
	struct sym_call c = {
		.arg = { arg0, arg1 },
		.payload = payload,
		.payload_len = len,
		.deadline_ms = step_deadline(t, data ? DATA_DEADLINE_MS : LOAD_DEADLINE_MS),
		.reply = (uint8_t *)t->reply,
		.reply_max = sizeof(t->reply) - 1,
	};
	int ret = c.deadline_ms ? sym_call_by_name(t->sym, handler, &t->vcpu, &c) : -ETIMEDOUT;

	t->value = c.value[0];
	sym_text_line(t->reply, c.reply_len < c.reply_max ? c.reply_len : c.reply_max);
	return ret;
}

/* Why a step failed, if the guest did not report a problem with the module. */
static int step_failed(struct transfer *t, int code, const char *name, const char *step)
{
	const char *text = sym_call_strerror(code);

	switch (code) {
	case -ENODEV:
	case -ESHUTDOWN:
		return not_ready(t->err);
	case -ENOSYS:
		return sym_fail(t->err, code,
				"the guest is not ready: "
				"its symbiotic module does not support modules");
	case -EAGAIN:
	case -ETIMEDOUT:
	case -ECANCELED:
		return sym_fail(t->err, code, "module %s: %s (%s)", name, text, step);
	default:
		return sym_fail(t->err, code, "module %s: the guest refused it (%s): %s", name,
				step, t->reply[0] ? t->reply : strerror(-code));
	}
}

/* Is it among the guest's symbiotic modules? */
static bool guest_has(struct sym *sym, const char *name)
{
	const struct sym_item *item = NULL;
	struct sym_item_module module;
	void *page = malloc(SYM_SPY_GUEST_SIZE);
	bool found = symmod_name_equal(name, "symbiotic"); /* it must be loaded to answer us */

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
			return sym_fail(
				t->err, -ENOENT,
				"module %s needs module %s, which the guest does not have%s%s",
				image->name, name, t->reply[0] ? ": " : "", t->reply);
	}
	return 0;
}

/* Does the guest report that the data arrived damaged?  Then start again. */
static bool damaged(int ret)
{
	return ret == -EBADMSG || ret == -ENODATA;
}

/* Continue where an earlier try ended.  Returns DAMAGED to be called again. */
static int send(struct transfer *t, const struct symmod_image *image, const char *params)
{
	uint64_t hash = XXH64(image->data, image->size, 0), at;
	int ret = call(t, SYM_MOD_BEGIN, image->size, hash, image->name, strlen(image->name));

	if (ret)
		return step_failed(t, ret, image->name, "begin");
	for (at = t->value <= image->size ? t->value : 0; at < image->size;) {
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

/* Check that the guest supports modules, and does not have @name already. */
static int check_ready(struct sym *sym, const char *name, struct sym_err *err)
{
	if (!sym_generation(sym))
		return not_ready(err);
	if (!(sym_granted(sym) & SYM_FEATURE_MODULES))
		return sym_fail(err, -ENOTSUP,
				"the guest is not ready: "
				"its symbiotic module does not support modules");
	if (guest_has(sym, name))
		return sym_fail(err, -EEXIST, "module %s is in the guest already", name);
	return 0;
}

static int check_guest(struct sym *sym, const struct symmod_image *image, struct sym_err *err)
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

static int check_length(const char *name, const char *params, struct sym_err *err)
{
	if (strlen(params) <= SYMMOD_MAX_PARAMS)
		return 0;
	return sym_fail(err, -E2BIG, "module %s: more than %d bytes of parameters", name,
			SYMMOD_MAX_PARAMS);
}

int symmod_install(struct sym *sym, const struct symmod_image *image, const char *params,
		   struct sym_err *err)
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
	return sym_fail(err, -EIO, "module %s: arrived damaged %d times", image->name, TRIES);
}

/* Why the guest did not load a module of its own. */
static int load_failed(struct transfer *t, int code, const char *name)
{
	switch (code) {
	case -ENOSYS: /* an older symbiotic module */
		return sym_fail(t->err, code,
				"module %s: the guest's symbiotic module cannot ask its modprobe",
				name);
	case -ENOENT:
		return sym_fail(t->err, code, "module %s: the guest has no modprobe", name);
	case -EIO:
		return sym_fail(t->err, code, "module %s: the guest's modprobe failed: %s", name,
				t->reply[0] ? t->reply : "it gave no reason");
	default:
		return step_failed(t, code, name, "modprobe");
	}
}

int symmod_load(struct sym *sym, const char *name, const char *params, struct sym_err *err)
{
	struct transfer t = transfer_new(sym, err);
	char text[SYM_NAME_LEN + SYMMOD_MAX_PARAMS + 1];
	int ret;

	if (!params)
		params = "";
	if (!symmod_name_ok(name))
		return sym_fail(err, -EINVAL, "'%.64s' cannot be the name of a module", name);
	ret = check_ready(sym, name, err);
	if (!ret)
		ret = check_length(name, params, err);
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "%s %s", name, params);
	ret = call(&t, SYM_MOD_LOAD, MODPROBE_MS, 0, text, strlen(text));
	return ret ? load_failed(&t, ret, name) : 0;
}

int symmod_remove(struct sym *sym, const char *name, struct sym_err *err)
{
	struct transfer t = transfer_new(sym, err);
	int ret;

	if (!symmod_name_ok(name))
		return sym_fail(err, -EINVAL, "'%.64s' cannot be the name of a module", name);
	if (!sym_generation(sym))
		return not_ready(err);
	ret = call(&t, SYM_MOD_REMOVE, 0, 0, name, strlen(name));
	return ret ? step_failed(&t, ret, name, "unload") : 0;
}
