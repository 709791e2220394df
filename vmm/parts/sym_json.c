// SPDX-License-Identifier: BSD-2-Clause
/*
 * SymSpy as JSON.  An item from an older or hostile guest may be shorter than its struct: each
 * is copied over zeroes first.
 */
#include "parts/sym_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/events.h"
#include "sym/host.h"
#include "symbiotic/text.h"

static const struct {
	uint32_t bit;
	const char *name;
} features[] = {
	{ SYM_FEATURE_SPY, "spy" },
	{ SYM_FEATURE_CALL, "call" },
	{ SYM_FEATURE_DOORBELL, "doorbell" },
	{ SYM_FEATURE_MODULES, "modules" },
	{ SYM_FEATURE_WINDOW, "window" },
}, contexts[] = {
	{ SYM_CONTEXT_EXIT, "exit" },
	{ SYM_CONTEXT_INTERRUPT, "interrupt" },
	{ SYM_CONTEXT_KICK, "kick" },
	{ SYM_CONTEXT_THREAD, "thread" },
};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

const char *sym_context_name(uint32_t context)
{
	for (size_t i = 0; i < NR(contexts); i++)
		if (contexts[i].bit == context)
			return contexts[i].name;
	return "unknown";
}

uint32_t sym_context_find(const char *name)
{
	for (size_t i = 0; i < NR(contexts); i++)
		if (!strcmp(contexts[i].name, name))
			return contexts[i].bit;
	return 0;
}

json_t *sym_json_contexts(uint32_t bits)
{
	json_t *list = json_array();

	for (size_t i = 0; i < NR(contexts); i++)
		if (bits & contexts[i].bit)
			json_array_append_new(list, json_string(contexts[i].name));
	return list;
}

static json_t *features_json(uint32_t bits)
{
	json_t *list = json_array();

	for (size_t i = 0; i < NR(features); i++)
		if (bits & features[i].bit)
			json_array_append_new(list, json_string(features[i].name));
	return list;
}

json_t *sym_json_text(const void *text, size_t max)
{
	char *copy = strndup(text, max);
	json_t *json = copy ? events_text(copy) : NULL;

	free(copy);
	return json;
}

json_t *sym_json_hex(const void *data, size_t len)
{
	char *hex = malloc(2 * len + 1);
	json_t *json;

	if (!hex)
		return NULL;
	*hex = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)data)[i]);
	json = json_string(hex);
	free(hex);
	return json;
}

json_t *sym_json_number(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)value);
	return json_string(text);
}

/* jansson's integers are signed; no honest guest has figures that large. */
static json_t *integer(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : value);
}

static void item_copy(const struct sym_item *item, void *value, size_t size)
{
	memset(value, 0, size);
	memcpy(value, item + 1, item->len < size ? item->len : size);
}

static json_t *kernel_json(const struct sym_item *item)
{
	struct sym_item_kernel kernel;

	item_copy(item, &kernel, sizeof(kernel));
	return json_pack("{s:o, s:o, s:o}", "release",
			 sym_json_text(kernel.release, sizeof(kernel.release)), "version",
			 sym_json_text(kernel.version, sizeof(kernel.version)), "cpus",
			 integer(kernel.nr_cpus));
}

static json_t *memory_json(const struct sym_item *item)
{
	struct sym_item_memory mem;

	item_copy(item, &mem, sizeof(mem));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "total", integer(mem.total),
			 "free", integer(mem.free), "available", integer(mem.available), "cached",
			 integer(mem.cached), "swap_total", integer(mem.swap_total), "swap_free",
			 integer(mem.swap_free), "uptime_ms", integer(mem.uptime_ms));
}

static json_t *module_json(const struct sym_item *item)
{
	struct sym_item_module module;

	item_copy(item, &module, sizeof(module));
	return json_pack("{s:o, s:b}", "name", sym_json_text(module.name, sizeof(module.name)),
			 "installed", !!(module.flags & SYM_MODULE_INSTALLED));
}

static json_t *handler_json(const struct sym_item *item)
{
	struct sym_item_handler handler;

	item_copy(item, &handler, sizeof(handler));
	return json_pack("{s:o, s:o, s:o}", "name",
			 sym_json_text(handler.name, sizeof(handler.name)), "number",
			 integer(handler.number), "contexts",
			 sym_json_contexts(handler.contexts));
}

/* A trailing NUL is allowed. */
static bool is_text(const uint8_t *data, size_t len)
{
	if (len > 1 && !data[len - 1])
		len--;
	return len && sym_printable(data, len);
}

/* The bytes, and what they may mean: text if they are printable, else a number. */
static json_t *value_json(const struct sym_item *item)
{
	size_t fixed = offsetof(struct sym_item_value, value), len = 0;
	struct sym_item_value value;
	uint64_t number = 0;
	json_t *json;

	item_copy(item, &value, sizeof(value));
	if (item->len > fixed)
		len = item->len - fixed;
	if (len > SYM_VALUE_MAX)
		len = SYM_VALUE_MAX;
	json = json_pack("{s:o, s:o, s:o, s:o}", "name",
			 sym_json_text(value.name, sizeof(value.name)), "program",
			 sym_json_text(value.comm, sizeof(value.comm)), "pid", integer(value.pid),
			 "hex", sym_json_hex(value.value, len));
	if (is_text(value.value, len)) {
		json_object_set_new(json, "text", sym_json_text(value.value, len));
	} else if (len == 4 || len == 8) {
		memcpy(&number, value.value, len);
		json_object_set_new(json, "number", integer(number));
	}
	return json;
}

void sym_json_items(json_t *out, const void *page)
{
	json_t *handlers = json_array(), *values = json_array();
	const struct sym_item *item = NULL;

	json_object_set_new(out, "kernel", json_null());
	json_object_set_new(out, "memory", json_null());
	json_object_set_new(out, "modules", sym_json_modules(page));
	json_object_set_new(out, "handlers", handlers);
	json_object_set_new(out, "values", values);
	while ((item = sym_spy_next(page, item))) {
		switch (item->type) {
		case SYM_ITEM_KERNEL:
			json_object_set_new(out, "kernel", kernel_json(item));
			break;
		case SYM_ITEM_MEMORY:
			json_object_set_new(out, "memory", memory_json(item));
			break;
		case SYM_ITEM_HANDLER:
			json_array_append_new(handlers, handler_json(item));
			break;
		case SYM_ITEM_VALUE:
			json_array_append_new(values, value_json(item));
			break;
		}
	}
}

json_t *sym_json_modules(const void *page)
{
	const struct sym_item *item = NULL;
	json_t *list = json_array();

	while ((item = sym_spy_next(page, item)))
		if (item->type == SYM_ITEM_MODULE)
			json_array_append_new(list, module_json(item));
	return list;
}

static json_t *task_json(struct sym *sym, unsigned int id)
{
	struct sym_item_task task;
	int ret = sym_spy_task(sym, id, &task);

	if (ret)
		return json_pack("{s:i, s:s}", "vcpu", (int)id, "error", strerrorname_np(-ret));
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "vcpu", (int)id, "pid",
			 integer(task.pid), "tgid", integer(task.tgid), "comm",
			 sym_json_text(task.comm, sizeof(task.comm)), "task",
			 sym_json_number(task.task), "root", sym_json_number(task.root),
			 "switches", integer(task.switches));
}

json_t *sym_json_spy(struct sym *sym, unsigned int nr_vcpus)
{
	json_t *vcpus = json_array(), *out;
	void *page = calloc(1, SYM_SPY_GUEST_SIZE);
	int ret = page ? sym_spy_read(sym, page) : -ENOMEM;

	for (unsigned int i = 0; i < nr_vcpus; i++)
		json_array_append_new(vcpus, task_json(sym, i));
	out = json_pack("{s:o, s:o, s:o}", "generation", integer(sym_generation(sym)), "features",
			features_json(sym_granted(sym)), "vcpus", vcpus);
	if (!ret)
		sym_json_items(out, page);
	else
		json_object_set_new(out, "error", json_string(strerrorname_np(-ret)));
	free(page);
	return out;
}
