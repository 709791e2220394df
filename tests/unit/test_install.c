// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sending a module to a fake guest: one that works, one that is busy, has a part already,
 * gets damaged data, refuses, does not answer, or lies.  And having it load a module of its
 * own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "sym/host.h"
#include "sym/symmod.h"

#define SIZE (3 * SYM_CALL_PAYLOAD + 100)

static const char *const handlers[] = { SYM_MOD_NEED,	 SYM_MOD_BEGIN,	 SYM_MOD_DATA,
					SYM_MOD_INSTALL, SYM_MOD_REMOVE, SYM_MOD_LOAD };

static struct {
	uint32_t generation, granted;
	bool old; /* it does not have SYM_MOD_LOAD */
	const char *fails; /* this handler fails, with */
	int code;
	const char *says;
	int times; /* how often; 0: always */
	uint64_t have;
	unsigned int dead_vcpus; /* this many, from the first, take no calls */
	bool has_it; /* the module is there already */
	uint64_t slow_ms; /* the time that each call takes */
	uint64_t now_ms;

	unsigned int calls;
	char log[256];
	uint8_t got[SIZE];
	char params[64]; /* of install; all that load was given */
	uint64_t size, hash, ms;
} guest;

/* The parts of the interface that install.c uses; this guest has two vCPUs. */

uint64_t sym_now_ms(void);

uint64_t sym_now_ms(void)
{
	return guest.now_ms;
}

uint32_t sym_generation(const struct sym *sym)
{
	return guest.generation;
}

uint32_t sym_granted(const struct sym *sym)
{
	return guest.granted;
}

unsigned int sym_nr_vcpus(const struct sym *sym)
{
	return 2;
}

int sym_spy_get(struct sym *sym, uint16_t type, void *value, size_t size)
{
	struct sym_item_kernel *kernel = value;

	assert_int_equal(type, SYM_ITEM_KERNEL);
	memset(value, 0, size);
	strcpy(kernel->release, "6.1.0-x");
	return 0;
}

int sym_spy_read(struct sym *sym, void *buf)
{
	struct sym_item *item = buf;
	struct sym_item_module module = { .name = "my-module" };

	*item = (struct sym_item){ .type = SYM_ITEM_MODULE, .len = sizeof(module) };
	memcpy(item + 1, &module, sizeof(module));
	return 0;
}

const struct sym_item *sym_spy_next(const void *buf, const struct sym_item *item)
{
	return item || !guest.has_it ? NULL : buf;
}

int sym_handler_find(struct sym *sym, const char *name, struct sym_item_handler *handler)
{
	for (unsigned int i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (!strcmp(handlers[i], name) && !(guest.old && !strcmp(name, SYM_MOD_LOAD))) {
			*handler = (struct sym_item_handler){ .number = i,
							      .contexts = SYM_CONTEXT_THREAD };
			return 0;
		}
	return -ENOSYS;
}

static int step(struct sym_call *call, const char *name)
{
	if (!strcmp(name, SYM_MOD_BEGIN)) {
		guest.size = call->arg[0];
		guest.hash = call->arg[1];
		call->value[0] = guest.have;
	} else if (!strcmp(name, SYM_MOD_DATA)) {
		assert_true(call->arg[0] + call->payload_len <= SIZE);
		memcpy(guest.got + call->arg[0], call->payload, call->payload_len);
	} else if (!strcmp(name, SYM_MOD_INSTALL) || !strcmp(name, SYM_MOD_LOAD)) {
		guest.ms = call->arg[0];
		assert_true(guest.ms < call->deadline_ms); /* it can still report a time-out */
		snprintf(guest.params, sizeof(guest.params), "%.*s", (int)call->payload_len,
			 (const char *)call->payload);
	}
	return 0;
}

int sym_call_wait(struct sym *sym, unsigned int id, struct sym_call *call)
{
	const char *name = handlers[call->handler];

	assert_true(id < 2);
	assert_true(++guest.calls < 2000);
	assert_true(call->deadline_ms > 0);
	guest.now_ms += guest.slow_ms;
	assert_int_equal(call->context, SYM_CONTEXT_THREAD);
	assert_true(call->payload_len <= SYM_CALL_PAYLOAD);
	if (id < guest.dead_vcpus)
		return -ESHUTDOWN;
	if (strlen(guest.log) < sizeof(guest.log) - 2)
		sprintf(guest.log + strlen(guest.log), "%c", name[7]); /* after "symmod." */
	if (guest.fails && !strcmp(guest.fails, name)) {
		int code = guest.code;

		if (guest.times && --guest.times == 0)
			guest.fails = NULL;
		if (guest.says) {
			call->reply_len = strlen(guest.says);
			memcpy(call->reply, guest.says, call->reply_len);
		}
		return call->status = code;
	}
	return call->status = step(call, name);
}

static uint8_t bytes[SIZE];
static struct symmod_image image;
static struct sym_err err;

static int setup(void **state)
{
	for (unsigned int i = 0; i < SIZE; i++)
		bytes[i] = i * 7 + i / 256;
	memset(&guest, 0, sizeof(guest));
	memset(&err, 0, sizeof(err));
	guest.generation = 1;
	guest.granted = SYM_FEATURE_MODULES;
	image = (struct symmod_image){ .data = bytes,
				       .size = SIZE,
				       .name = "my_module",
				       .release = "6.1.0-x",
				       .depends = { "symbiotic", "other" },
				       .nr_depends = 2 };
	return 0;
}

static void installed(const char *log)
{
	if (symmod_install(NULL, &image, "a=1 b=2", &err))
		fail_msg("%s", err.text);
	assert_string_equal(guest.log, log);
	assert_memory_equal(guest.got, bytes, SIZE);
	assert_int_equal(guest.size, SIZE);
	assert_int_equal(guest.hash, XXH64(bytes, SIZE, 0));
	assert_string_equal(guest.params, "a=1 b=2");
}

static void refused(int code, const char *why)
{
	assert_int_equal(symmod_install(NULL, &image, NULL, &err), code);
	if (err.code != code || !strstr(err.text, why) || strpbrk(err.text, "\n\033"))
		fail_msg("\"%s\" does not say \"%s\" in one line", err.text, why);
}

static void test_good(void **state)
{
	installed("nbddddi"); /* "symbiotic" must be loaded, since the guest answers */
}

static void test_goes_on(void **state)
{
	guest.have = SYM_CALL_PAYLOAD + 10;
	memcpy(guest.got, bytes, guest.have);
	installed("nbdddi");
}

static void test_lies_about_what_it_has(void **state)
{
	guest.have = UINT64_MAX;
	installed("nbddddi");
}

static void test_busy(void **state)
{
	guest.fails = SYM_MOD_DATA;
	guest.code = -EBUSY;
	guest.times = 2;
	installed("nbddddddi");
}

static void test_other_vcpu(void **state)
{
	guest.dead_vcpus = 1;
	installed("nbddddi");
}

static void test_no_vcpu(void **state)
{
	guest.dead_vcpus = 2;
	refused(-ENODEV, "not ready");
}

static void test_damaged_once(void **state)
{
	guest.fails = SYM_MOD_INSTALL;
	guest.code = -EBADMSG;
	guest.times = 1;
	installed("nbddddibddddi");
}

static void test_damaged_always(void **state)
{
	guest.fails = SYM_MOD_INSTALL;
	guest.code = -EBADMSG;
	refused(-EIO, "damaged 3 times");
}

static void test_never_free(void **state)
{
	guest.fails = SYM_MOD_BEGIN;
	guest.code = -EAGAIN;
	refused(-EAGAIN, "paused");
}

static void test_dependency(void **state)
{
	guest.fails = SYM_MOD_NEED;
	guest.code = -ENOENT;
	refused(-ENOENT, "module my_module needs module other, which the guest does not have");
}

static void test_guest_refuses(void **state)
{
	guest.fails = SYM_MOD_INSTALL;
	guest.code = -EIO;
	guest.says = "insmod: key was rejected\033[2J by service\n";
	refused(-EIO, "insmod: key was rejected [2J by service");
}

static void test_silent(void **state)
{
	guest.fails = SYM_MOD_DATA;
	guest.code = -ETIMEDOUT;
	refused(-ETIMEDOUT, "did not answer in time");
}

/* A step that is busy for ever ends at that step's deadline, however long each try takes. */
static void test_busy_and_slow(void **state)
{
	guest.slow_ms = 400;
	guest.fails = SYM_MOD_DATA;
	guest.code = -EBUSY;
	refused(-ETIMEDOUT, "did not answer in time");
	assert_true(guest.now_ms >= 5000 && guest.now_ms < 7000);
}

/* It answers each step, but slowly: all steps together have a deadline too. */
static void test_slow(void **state)
{
	guest.slow_ms = 25000;
	refused(-ETIMEDOUT, "did not answer in time");
	assert_true(guest.now_ms >= 120000 && guest.now_ms < 150000);
}

static void test_reset_meanwhile(void **state)
{
	guest.fails = SYM_MOD_DATA;
	guest.code = -ECANCELED;
	refused(-ECANCELED, "was reset");
}

static void test_not_ready(void **state)
{
	guest.generation = 0;
	refused(-ENODEV, "no symbiotic module has registered");
	assert_int_equal(guest.calls, 0);
	guest.generation = 1;
	guest.granted = SYM_FEATURE_SPY;
	refused(-ENOTSUP, "does not support modules");
	assert_int_equal(guest.calls, 0);
}

static void test_there_already(void **state)
{
	guest.has_it = true; /* as my-module */
	refused(-EEXIST, "is in the guest already");
	assert_int_equal(guest.calls, 0);
}

static void test_other_kernel(void **state)
{
	strcpy(image.release, "6.1.0-y");
	refused(-ENOEXEC, "module my_module is for Linux 6.1.0-y, the guest runs 6.1.0-x");
	assert_int_equal(guest.calls, 0);
}

static void test_load(void **state)
{
	if (symmod_load(NULL, "my-other", "a=1 b=2", &err))
		fail_msg("%s", err.text);
	assert_string_equal(guest.log, "l");
	assert_string_equal(guest.params, "my-other a=1 b=2");
	assert_true(guest.ms >= 1000);
	assert_int_equal(symmod_load(NULL, "m", NULL, &err), 0);
	assert_string_equal(guest.params, "m ");
}

static void load_refused(const char *name, int code, const char *why)
{
	assert_int_equal(symmod_load(NULL, name, NULL, &err), code);
	if (err.code != code || !strstr(err.text, why) || strpbrk(err.text, "\n\033"))
		fail_msg("\"%s\" does not say \"%s\" in one line", err.text, why);
}

static void test_load_fails(void **state)
{
	static const struct {
		int code;
		const char *says, *why;
	} cases[] = {
		{ -EIO, "modprobe: FATAL: Module m not found\033\n",
		  "module m: the guest's modprobe failed: modprobe: FATAL: Module m not found" },
		{ -EIO, NULL, "modprobe failed: it gave no reason" },
		{ -ENOENT, NULL, "module m: the guest has no modprobe" },
		{ -ETIMEDOUT, NULL, "module m: the guest did not answer in time (modprobe)" },
		{ -ECANCELED, NULL, "was reset" },
		{ -EPERM, NULL,
		  "module m: the guest refused it (modprobe): Operation not permitted" },
	};

	guest.fails = SYM_MOD_LOAD;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		guest.code = cases[i].code;
		guest.says = cases[i].says;
		load_refused("m", cases[i].code, cases[i].why);
	}
}

/* Nothing is sent that the guest would refuse, or that is not a name. */
static void test_load_not_sent(void **state)
{
	char params[SYMMOD_MAX_PARAMS + 2];

	load_refused("", -EINVAL, "cannot be the name");
	load_refused("../m", -EINVAL, "cannot be the name");
	load_refused("m b=1", -EINVAL, "cannot be the name");
	load_refused("symbiotic", -EEXIST, "is in the guest already");
	guest.has_it = true;
	load_refused("my_module", -EEXIST, "is in the guest already");
	memset(params, 'x', sizeof(params) - 1);
	params[sizeof(params) - 1] = '\0';
	assert_int_equal(symmod_load(NULL, "m", params, &err), -E2BIG);
	guest.old = true;
	load_refused("m", -ENOSYS,
		     "module m: the guest's symbiotic module cannot ask its modprobe");
	guest.granted = SYM_FEATURE_SPY;
	load_refused("m", -ENOTSUP, "does not support modules");
	guest.generation = 0;
	load_refused("m", -ENODEV, "no symbiotic module has registered");
	assert_int_equal(guest.calls, 0);
}

static void test_remove(void **state)
{
	assert_int_equal(symmod_remove(NULL, "my_module", &err), 0);
	assert_string_equal(guest.log, "r");
	assert_int_equal(symmod_remove(NULL, "../x", &err), -EINVAL);
	guest.fails = SYM_MOD_REMOVE;
	guest.code = -EIO;
	guest.says = "rmmod: in use";
	assert_int_equal(symmod_remove(NULL, "my_module", &err), -EIO);
	assert_non_null(strstr(err.text, "rmmod: in use"));
}

int main(void)
{
#define GUEST(fn) cmocka_unit_test_setup(fn, setup)
	const struct CMUnitTest tests[] = {
		GUEST(test_good),
		GUEST(test_goes_on),
		GUEST(test_lies_about_what_it_has),
		GUEST(test_busy),
		GUEST(test_other_vcpu),
		GUEST(test_no_vcpu),
		GUEST(test_damaged_once),
		GUEST(test_damaged_always),
		GUEST(test_never_free),
		GUEST(test_dependency),
		GUEST(test_guest_refuses),
		GUEST(test_silent),
		GUEST(test_slow),
		GUEST(test_busy_and_slow),
		GUEST(test_reset_meanwhile),
		GUEST(test_not_ready),
		GUEST(test_there_already),
		GUEST(test_other_kernel),
		GUEST(test_load),
		GUEST(test_load_fails),
		GUEST(test_load_not_sent),
		GUEST(test_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
