// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the VMM shows the guest: a page of guest RAM that only the VMM should write.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "symbiotic/sym.h"

#define MAX_SHOWN 32

struct shown {
	struct shown *next;
	struct sym_item_service item;
	uint32_t len;
};

struct page {
	_Alignas(8) uint8_t data[SYM_PAGE_SIZE];
	uint32_t used;
};

static bool add_item(struct page *page, uint16_t type, const void *value, uint32_t len)
{
	struct sym_item *item = (struct sym_item *)(page->data + page->used);

	if (page->used + sizeof(*item) + SYM_ITEM_ALIGN(len) > sizeof(page->data))
		return false;
	item->type = type;
	item->len = len;
	memcpy(item + 1, value, len);
	page->used += sizeof(*item) + SYM_ITEM_ALIGN(len);
	return true;
}

static void make_page(struct sym *sym, struct page *page)
{
	struct sym_item_vm vm = { 0 };
	struct sym_item_features features = { .granted = sym->granted };
	struct sym_spy_header head = {
		.magic = SYM_SPY_MAGIC,
		.version = SYM_ABI_VERSION,
		.kind = SYM_SPY_HOST,
		.size = SYM_PAGE_SIZE,
		.generation = sym->generation,
	};

	page->used = sizeof(head);
	memcpy(vm.name, sym->name, sizeof(vm.name));
	memcpy(vm.uuid, sym->uuid, sizeof(vm.uuid));
	add_item(page, SYM_ITEM_VM, &vm, sizeof(vm));
	add_item(page, SYM_ITEM_FEATURES, &features, sizeof(features));
	if (sym->has_pressure)
		add_item(page, SYM_ITEM_PRESSURE, &sym->pressure, sizeof(sym->pressure));
	if (sym->window.size)
		add_item(page, SYM_ITEM_WINDOW, &sym->window, sizeof(sym->window));
	for (struct shown *s = sym->shown; s; s = s->next)
		add_item(page, SYM_ITEM_SERVICE, &s->item,
			 offsetof(struct sym_item_service, value) + s->len);
	head.used = page->used;
	memcpy(page->data, &head, sizeof(head));
}

/* Our own copy of the sequence counts, in case the guest overwrote the page's. */
void show_update(struct sym *sym)
{
	struct sym_spy_header *head = (struct sym_spy_header *)sym->show;
	struct page page = { .used = 0 };
	uint32_t sequence;

	if (!head)
		return;
	make_page(sym, &page);
	sequence = (READ_ONCE(head->sequence) | 1) + 2;
	__atomic_store_n(&head->sequence, sequence, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	((struct sym_spy_header *)page.data)->sequence = sequence;
	memcpy(head, page.data, page.used);
	__atomic_store_n(&head->sequence, sequence + 1, __ATOMIC_RELEASE);
}

void show_free(struct sym *sym)
{
	while (sym->shown) {
		struct shown *s = sym->shown;

		sym->shown = s->next;
		free(s);
	}
}

/* slot_for - where @name is, or would be, in the list. */
static struct shown **slot_for(struct sym *sym, const char *name, unsigned int *nr)
{
	struct shown **slot = &sym->shown;

	for (*nr = 0; *slot && strcmp((*slot)->item.name, name); slot = &(*slot)->next)
		++*nr;
	return slot;
}

int sym_show(struct sym *sym, const char *name, const void *value, size_t len)
{
	struct shown **slot, *s;
	unsigned int nr;
	int ret = 0;

	if (!*name || strlen(name) >= sizeof(s->item.name) || len > SYM_VALUE_MAX)
		return -EINVAL;
	pthread_mutex_lock(&sym->lock);
	slot = slot_for(sym, name, &nr);
	s = *slot;
	if (!len) {
		if (s)
			*slot = s->next;
		free(s);
	} else {
		if (!s && nr < MAX_SHOWN)
			s = *slot = calloc(1, sizeof(*s));
		if (s) {
			strcpy(s->item.name, name);
			memcpy(s->item.value, value, len);
			s->len = len;
		} else {
			ret = nr < MAX_SHOWN ? -ENOMEM : -ENOSPC;
		}
	}
	if (!ret)
		show_update(sym);
	pthread_mutex_unlock(&sym->lock);
	return ret;
}

int sym_show_pressure(struct sym *sym, const struct sym_item_pressure *pressure)
{
	pthread_mutex_lock(&sym->lock);
	sym->pressure = *pressure;
	sym->has_pressure = true;
	show_update(sym);
	pthread_mutex_unlock(&sym->lock);
	return 0;
}

void sym_show_window(struct sym *sym, const struct sym_item_window *window)
{
	pthread_mutex_lock(&sym->lock);
	if (window)
		sym->window = *window;
	else
		sym->window.size = 0;
	show_update(sym);
	pthread_mutex_unlock(&sym->lock);
}
