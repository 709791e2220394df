// SPDX-License-Identifier: GPL-2.0
/*
 * The VMM's page.  It may change at any time and contain anything: data is copied once and
 * checked, and used only if the sequence did not change meanwhile.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/string.h>

#include "symbiotic.h"

#define SYM_HOST_TRIES 64

static u8 *sym_host_page;
static bool sym_host_on;

static int sym_host_check(const struct sym_spy_header *head)
{
	if (head->magic != SYM_SPY_MAGIC || head->version != SYM_ABI_VERSION ||
	    head->kind != SYM_SPY_HOST || head->size != SYM_PAGE_SIZE ||
	    head->generation != sym_vmm.generation || head->used < sizeof(*head) ||
	    head->used > SYM_PAGE_SIZE)
		return -EPROTO;
	return 0;
}

/* The length of the value, after the name if there is one; at most @size are copied. */
static int sym_host_item(const struct sym_item *item, const u8 *from, const char *name,
			 void *value, size_t size)
{
	char text[sizeof_field(struct sym_item_service, name)];
	size_t skip = 0;

	if (name) {
		skip = sizeof(text);
		if (item->len < skip)
			return -ENOENT;
		memcpy(text, from, sizeof(text));
		if (strncmp(text, name, sizeof(text)))
			return -ENOENT;
	}
	memcpy(value, from + skip, min_t(size_t, size, item->len - skip));
	return item->len - skip;
}

static int sym_host_walk(u16 type, const char *name, void *value, size_t size)
{
	struct sym_spy_header head;
	struct sym_item item;
	size_t at = sizeof(head), step;
	int ret;

	memcpy(&head, sym_host_page, sizeof(head));
	barrier(); /* use the copy that was checked */
	ret = sym_host_check(&head);
	if (ret)
		return ret;
	while (at + sizeof(item) <= head.used) {
		memcpy(&item, sym_host_page + at, sizeof(item));
		barrier();
		at += sizeof(item);
		if (item.len > head.used - at)
			return -EPROTO;
		if (item.type == type) {
			ret = sym_host_item(&item, sym_host_page + at, name, value, size);
			if (ret != -ENOENT)
				return ret;
		}
		step = SYM_ITEM_ALIGN(item.len);
		if (step > head.used - at)
			break;
		at += step;
	}
	return -ENOENT;
}

/* Find an item while the page does not change. */
static int sym_host_find(u16 type, const char *name, void *value, size_t size)
{
	const struct sym_spy_header *head = (void *)sym_host_page;
	u32 sequence;
	int try, ret;

	if (!READ_ONCE(sym_host_on))
		return -ENODEV;
	for (try = 0; try < SYM_HOST_TRIES; try++) {
		sequence = smp_load_acquire(&head->sequence);
		if (sequence & 1) {
			cpu_relax();
			continue;
		}
		ret = sym_host_walk(type, name, value, size);
		smp_rmb();
		if (READ_ONCE(head->sequence) == sequence)
			return ret;
	}
	return -EAGAIN;
}

int sym_host_value(const char *name, void *value, size_t len)
{
	int ret;

	if (!name || strlen(name) >= sizeof_field(struct sym_item_service, name))
		return -ENOENT;
	ret = sym_host_find(SYM_ITEM_SERVICE, name, value, len);
	if (ret == -ENODEV || ret == -EPROTO)
		return -ENOENT; /* the VMM shows no page */
	return ret < 0 ? ret : min_t(int, ret, min_t(size_t, len, SYM_VALUE_MAX));
}
EXPORT_SYMBOL_GPL(sym_host_value);

int sym_host_window(struct sym_item_window *window)
{
	int ret;

	memset(window, 0, sizeof(*window));
	ret = sym_host_find(SYM_ITEM_WINDOW, NULL, window, sizeof(*window));
	if (ret == -ENODEV || ret == -EPROTO)
		return -ENOENT;
	return ret < 0 ? ret : 0;
}
EXPORT_SYMBOL_GPL(sym_host_window);

int sym_host_vm(struct sym_item_vm *vm)
{
	int ret;

	memset(vm, 0, sizeof(*vm));
	ret = sym_host_find(SYM_ITEM_VM, NULL, vm, sizeof(*vm));
	vm->name[sizeof(vm->name) - 1] = 0;
	vm->uuid[sizeof(vm->uuid) - 1] = 0;
	return ret < 0 ? ret : 0;
}

int sym_host_start(void)
{
	struct sym_item_vm vm;
	int err;

	memset(sym_host_page, 0, SYM_PAGE_SIZE);
	err = sym_msr_write(SYM_MSR_SPY_HOST, virt_to_phys(sym_host_page) | SYM_MSR_ENABLE);
	if (err)
		return err;
	sym_host_on = true;
	err = sym_host_vm(&vm);
	/* A missing item is no error; an invalid page is. */
	return err == -ENOENT ? 0 : err;
}

void sym_host_stop(void)
{
	WRITE_ONCE(sym_host_on, false);
}

int sym_host_init(void)
{
	sym_host_page = (void *)get_zeroed_page(GFP_KERNEL);
	return sym_host_page ? 0 : -ENOMEM;
}

void sym_host_exit(void)
{
	free_page((unsigned long)sym_host_page);
}
