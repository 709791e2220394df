// SPDX-License-Identifier: BSD-2-Clause
/*
 * SymSpy as JSON, from pages made here: complete, short, unprintable and unknown items.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "parts/sym_json.h"
#include "sym/host.h"
#include "symbiotic/sym.h"

static _Alignas(8) uint8_t page[SYM_SPY_GUEST_SIZE];

static void begin(void)
{
	struct sym_spy_header *head = (struct sym_spy_header *)page;

	memset(page, 0, sizeof(page));
	*head = (struct sym_spy_header){
		.magic = SYM_SPY_MAGIC,
		.version = SYM_ABI_VERSION,
		.kind = SYM_SPY_GUEST,
		.size = sizeof(page),
		.used = sizeof(*head),
		.generation = 3,
	};
}

static void item(uint16_t type, const void *value, uint32_t len)
{
	struct sym_spy_header *head = (struct sym_spy_header *)page;
	struct sym_item entry = { .type = type, .len = len };

	memcpy(page + head->used, &entry, sizeof(entry));
	memcpy(page + head->used + sizeof(entry), value, len);
	head->used += sizeof(entry) + SYM_ITEM_ALIGN(len);
}

static json_t *items(void)
{
	json_t *json = json_object();

	sym_json_items(json, page);
	return json;
}

static json_t *at(const json_t *json, const char *list, size_t index)
{
	return json_array_get(json_object_get(json, list), index);
}

static void expect_text(const json_t *json, const char *key, const char *want)
{
	const char *text = json_string_value(json_object_get(json, key));

	assert_non_null(text);
	assert_string_equal(text, want);
}

static void expect_number(const json_t *json, const char *key, json_int_t want)
{
	assert_true(json_is_integer(json_object_get(json, key)));
	assert_int_equal(json_integer_value(json_object_get(json, key)), want);
}

static void test_items(void **state)
{
	struct sym_item_kernel kernel = { .release = "6.1.0", .version = "#1", .nr_cpus = 2 };
	struct sym_item_memory memory = { .total = 512 << 20, .available = 100 };
	struct sym_item_module module = { .name = "symtest", .flags = SYM_MODULE_INSTALLED };
	struct sym_item_handler handler = {
		.name = "echo",
		.number = 7,
		.contexts = SYM_CONTEXT_EXIT | SYM_CONTEXT_THREAD,
	};
	json_t *json, *contexts;

	begin();
	item(SYM_ITEM_KERNEL, &kernel, sizeof(kernel));
	item(999, "what is this", 12);
	item(SYM_ITEM_MEMORY, &memory, sizeof(memory));
	item(SYM_ITEM_MODULE, &module, sizeof(module));
	item(SYM_ITEM_HANDLER, &handler, sizeof(handler));
	json = items();
	expect_text(json_object_get(json, "kernel"), "release", "6.1.0");
	expect_number(json_object_get(json, "kernel"), "cpus", 2);
	expect_number(json_object_get(json, "memory"), "total", 512 << 20);
	expect_number(json_object_get(json, "memory"), "available", 100);
	expect_text(at(json, "modules", 0), "name", "symtest");
	assert_true(json_is_true(json_object_get(at(json, "modules", 0), "installed")));
	expect_text(at(json, "handlers", 0), "name", "echo");
	expect_number(at(json, "handlers", 0), "number", 7);
	contexts = json_object_get(at(json, "handlers", 0), "contexts");
	assert_int_equal(json_array_size(contexts), 2);
	assert_string_equal(json_string_value(json_array_get(contexts, 1)), "thread");
	json_decref(json);
}

static void test_values(void **state)
{
	struct sym_item_value value = { .name = "phase", .comm = "prog", .pid = 42 };
	size_t fixed = offsetof(struct sym_item_value, value);
	uint64_t number = 'M'; /* not text although it begins like text */
	json_t *json;

	begin();
	memcpy(value.value, "warm", 4);
	item(SYM_ITEM_VALUE, &value, fixed + 4);
	item(SYM_ITEM_VALUE, &value, fixed + 5);
	memcpy(value.value, &number, sizeof(number));
	item(SYM_ITEM_VALUE, &value, fixed + sizeof(number));
	item(SYM_ITEM_VALUE, &value, fixed);
	item(SYM_ITEM_VALUE, &value, 3); /* even its name is truncated */
	memset(&value, 'z', sizeof(value));
	item(999, &value, sizeof(value)); /* must not be read as the rest of it */
	json = items();
	expect_text(at(json, "values", 0), "text", "warm");
	expect_text(at(json, "values", 0), "hex", "7761726d");
	expect_text(at(json, "values", 0), "program", "prog");
	expect_number(at(json, "values", 0), "pid", 42);
	expect_text(at(json, "values", 1), "text", "warm");
	expect_number(at(json, "values", 2), "number", 'M');
	assert_null(json_object_get(at(json, "values", 2), "text"));
	expect_text(at(json, "values", 3), "hex", "");
	expect_text(at(json, "values", 4), "name", "pha");
	expect_number(at(json, "values", 4), "pid", 0);
	json_decref(json);
}

/* No NUL, no UTF-8, numbers beyond JSON's. */
static void test_hostile_text(void **state)
{
	struct sym_item_module module;
	struct sym_item_memory memory;
	const char *name;
	json_t *json;

	begin();
	memset(&module, 0xff, sizeof(module));
	memset(&memory, 0xff, sizeof(memory));
	item(SYM_ITEM_MODULE, &module, sizeof(module));
	item(SYM_ITEM_MEMORY, &memory, sizeof(memory));
	json = items();
	name = json_string_value(json_object_get(at(json, "modules", 0), "name"));
	assert_non_null(name);
	assert_int_equal(strlen(name), sizeof(module.name));
	assert_int_equal(strspn(name, "?"), sizeof(module.name));
	expect_number(json_object_get(json, "memory"), "total", INT64_MAX);
	json_decref(json);
}

static void test_nobody(void **state)
{
	struct sym *sym = test_calloc(1, sizeof(*sym) + 2 * sizeof(sym->vcpu[0]));
	json_t *json;

	sym->nr_vcpus = 2;
	json = sym_json_spy(sym, 2);
	expect_number(json, "generation", 0);
	expect_text(json, "error", "ENODEV");
	expect_text(at(json, "vcpus", 1), "error", "ENODEV");
	assert_null(json_object_get(json, "kernel"));
	json_decref(json);
	test_free(sym);
}

static void test_whole(void **state)
{
	static struct sym_spy_vcpu vcpu = {
		.head = { .magic = SYM_SPY_MAGIC,
			  .version = SYM_ABI_VERSION,
			  .kind = SYM_SPY_VCPU,
			  .size = SYM_PAGE_SIZE,
			  .used = sizeof(vcpu),
			  .generation = 3 },
		.item = { .type = SYM_ITEM_TASK, .len = sizeof(vcpu.task) },
		.task = { .pid = 5, .tgid = 4, .comm = "sh", .root = 0xffffffffffff1000ull },
	};
	static _Alignas(8) uint8_t vcpu_page[SYM_PAGE_SIZE];
	struct sym *sym = test_calloc(1, sizeof(*sym) + sizeof(sym->vcpu[0]));
	json_t *json;

	begin();
	memcpy(vcpu_page, &vcpu, sizeof(vcpu));
	sym->nr_vcpus = 1;
	sym->generation = 3;
	sym->granted = SYM_FEATURE_SPY | SYM_FEATURE_MODULES;
	sym->spy = page;
	sym->vcpu[0].spy = (struct sym_spy_vcpu *)vcpu_page;
	json = sym_json_spy(sym, 1);
	expect_number(json, "generation", 3);
	assert_int_equal(json_array_size(json_object_get(json, "features")), 2);
	expect_number(at(json, "vcpus", 0), "pid", 5);
	expect_text(at(json, "vcpus", 0), "comm", "sh");
	expect_text(at(json, "vcpus", 0), "root", "0xffffffffffff1000");
	assert_true(json_is_null(json_object_get(json, "kernel")));
	json_decref(json);
	test_free(sym);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),	     cmocka_unit_test(test_values),
		cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
