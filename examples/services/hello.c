// SPDX-License-Identifier: BSD-2-Clause
/* hello: calls a handler of the guest every second, and emits its answer as an event. */
#include <stdio.h>
#include <string.h>

#include <symkit/service.h>

static struct hello {
	struct sym_service_vm *vm;
	char handler[SYM_NAME_LEN];
	uint64_t count;
} hello;

static void say(void *state)
{
	struct sym_call call = { .arg = { hello.count++ } };
	struct sym_item_handler handler;
	char data[128];

	if (sym_handler_find(sym_service_sym(hello.vm), hello.handler, &handler))
		return; /* the guest has no such handler yet */
	call.handler = handler.number;
	sym_call_wait(sym_service_sym(hello.vm), 0, &call);
	snprintf(data, sizeof(data), "{\"status\":%d,\"answer\":%llu}", call.status,
		 (unsigned long long)call.value[0]);
	sym_service_event(hello.vm, "hello", data);
}

static int hello_init(struct sym_service_vm *vm, const char *args, void **state)
{
	struct sym_service_timer *timer;

	hello.vm = vm;
	snprintf(hello.handler, sizeof(hello.handler), "%s", *args ? args : "hello");
	return sym_service_timer_new(vm, say, &timer) ?: sym_service_timer_set(timer, 1000);
}

SYM_SERVICE = { SYM_SERVICE_HEAD, .name = "hello", .init = hello_init };
