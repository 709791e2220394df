// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading what the guest shows, without a lock and without an exit: copy, check that
 * the sequence was even and did not change, check the copy.  The guest can write
 * anything to the page at any time.
 */
#include <errno.h>
#include <string.h>

#include "symbiotic/sym.h"

#define TRIES	 100
#define STUCK_MS 2000

/*
 * copy_out - copy @len bytes of @page, consistent if the guest follows the protocol.  x86 does
 * not reorder loads with other loads, so a compiler barrier is enough.
 */
static int copy_out(const void *page, void *buf, size_t len, uint32_t *odd)
{
	const struct sym_spy_header *head = page;

	for (int i = 0; i < TRIES; i++) {
		uint32_t before = __atomic_load_n(&head->sequence, __ATOMIC_ACQUIRE);

		if (before & 1) {
			*odd = before;
			__builtin_ia32_pause();
			continue;
		}
		memcpy(buf, page, len);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&head->sequence, __ATOMIC_RELAXED) == before)
			return 0;
	}
	return -EAGAIN;
}

static int check_header(const struct sym_spy_header *head, uint16_t kind, uint32_t size,
			uint32_t generation)
{
	if (head->magic != SYM_SPY_MAGIC || head->version != SYM_ABI_VERSION ||
	    head->kind != kind || head->size != size || head->used < sizeof(*head) ||
	    head->used > size || head->generation != generation)
		return -EPROTO;
	return 0;
}

/* note_odd - a writer may be descheduled for a while; report one that does not return. */
static void note_odd(struct sym *sym, struct stuck *stuck, int vcpu, uint32_t odd)
{
	uint64_t now = sym_now_ms();

	if (!READ_ONCE(stuck->since_ms) || READ_ONCE(stuck->sequence) != odd) {
		WRITE_ONCE(stuck->sequence, odd);
		WRITE_ONCE(stuck->since_ms, now);
	} else if (now - READ_ONCE(stuck->since_ms) > STUCK_MS &&
		   !__atomic_exchange_n(&stuck->reported, true, __ATOMIC_RELAXED)) {
		sym_fault(sym, vcpu, "the sequence of a SymSpy page is stuck at %u", odd);
	}
}

int sym_spy_task(struct sym *sym, unsigned int id, struct sym_item_task *task)
{
	uint32_t generation = sym_generation(sym);
	struct sym_spy_vcpu copy;
	struct sym_vcpu *vc;
	struct sym_spy_vcpu *page;
	uint32_t odd = 0;

	if (id >= sym->nr_vcpus)
		return -EINVAL;
	vc = &sym->vcpu[id];
	page = __atomic_load_n(&vc->spy, __ATOMIC_ACQUIRE);
	if (!page || !generation)
		return -ENODEV;
	if (copy_out(page, &copy, sizeof(copy), &odd)) {
		if (odd)
			note_odd(sym, &vc->stuck, id, odd);
		return -EAGAIN;
	}
	/* After a reset or a new registration the data is not valid. */
	if (sym_generation(sym) != generation)
		return -ENODEV;
	if (check_header(&copy.head, SYM_SPY_VCPU, SYM_PAGE_SIZE, generation) ||
	    copy.item.type != SYM_ITEM_TASK || copy.item.len < sizeof(copy.task))
		return -EPROTO;
	*task = copy.task;
	return 0;
}

const struct sym_item *sym_spy_next(const void *buf, const struct sym_item *item)
{
	const struct sym_spy_header *head = buf;
	const char *end = (const char *)buf + head->used;
	const char *next = item ? (const char *)(item + 1) + SYM_ITEM_ALIGN(item->len) :
				  (const char *)(head + 1);

	item = (const struct sym_item *)next;
	if (next + sizeof(*item) > end || item->len > (size_t)(end - next) - sizeof(*item) ||
	    SYM_ITEM_ALIGN(item->len) > (size_t)(end - next) - sizeof(*item))
		return NULL;
	return item;
}

int sym_spy_read(struct sym *sym, void *buf)
{
	uint32_t generation = sym_generation(sym);
	const uint8_t *page = __atomic_load_n(&sym->spy, __ATOMIC_ACQUIRE);
	uint32_t odd = 0;

	if (!page || !generation)
		return -ENODEV;
	if (copy_out(page, buf, SYM_SPY_GUEST_SIZE, &odd)) {
		if (odd)
			note_odd(sym, &sym->stuck, -1, odd);
		return -EAGAIN;
	}
	if (sym_generation(sym) != generation)
		return -ENODEV;
	return check_header(buf, SYM_SPY_GUEST, SYM_SPY_GUEST_SIZE, generation);
}

int sym_spy_get(struct sym *sym, uint16_t type, void *value, size_t size)
{
	_Alignas(8) uint8_t buf[SYM_SPY_GUEST_SIZE];
	const struct sym_item *item = NULL;
	int ret = sym_spy_read(sym, buf);

	if (ret)
		return ret;
	while ((item = sym_spy_next(buf, item))) {
		if (item->type != type)
			continue;
		memset(value, 0, size);
		memcpy(value, item + 1, item->len < size ? item->len : size);
		return 0;
	}
	return -ENOENT;
}

/* Handlers' names; calls use their numbers, by the hash below. */

static uint32_t hash_of(uint32_t number)
{
	return number * 2654435761u >> 24;
}

static void hash_add(struct handler_hash *hash, uint32_t number, uint32_t contexts)
{
	uint32_t i = hash_of(number);

	while (hash->slot[i])
		i = (i + 1) % SYM_HANDLER_HASH;
	WRITE_ONCE(hash->slot[i], (uint64_t)number << 32 | contexts);
}

static uint32_t hash_find(const struct handler_hash *hash, uint32_t number)
{
	uint64_t entry;

	for (uint32_t i = hash_of(number), n = 0; n < SYM_HANDLER_HASH;
	     i = (i + 1) % SYM_HANDLER_HASH, n++) {
		entry = READ_ONCE(hash->slot[i]);
		if (!entry)
			return 0;
		if (entry >> 32 == number)
			return (uint32_t)entry;
	}
	return 0;
}

uint32_t sym_handler_contexts(const struct sym *sym, uint32_t number)
{
	const struct handler_hash *hash, *again;
	uint32_t contexts;

	/* A table that was replaced during the lookup may be under construction again. */
	again = __atomic_load_n(&sym->handlers.current, __ATOMIC_ACQUIRE);
	do {
		hash = again;
		contexts = hash_find(hash, number);
		again = __atomic_load_n(&sym->handlers.current, __ATOMIC_ACQUIRE);
	} while (!contexts && again != hash);
	return contexts;
}

static bool known(const struct handler_table *table, const struct sym_item_handler *h)
{
	for (unsigned int i = 0; i < table->nr; i++)
		if (table->handler[i].number == h->number ||
		    !strcmp(table->handler[i].name, h->name))
			return true;
	return false;
}

/* Printable text, NUL-ended within its field. */
static bool good_name(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	if (!len || len == size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

static unsigned int take_handlers(struct handler_table *table, const void *buf)
{
	struct handler_hash *hash = table->current == &table->hash[0] ? &table->hash[1] :
									&table->hash[0];
	const struct sym_item *item = NULL;
	unsigned int refused = 0;

	table->nr = 0;
	memset(hash, 0, sizeof(*hash));
	while ((item = sym_spy_next(buf, item))) {
		struct sym_item_handler h;

		if (item->type != SYM_ITEM_HANDLER)
			continue;
		if (item->len < sizeof(h)) {
			refused++;
			continue;
		}
		memcpy(&h, item + 1, sizeof(h));
		if (table->nr == SYM_MAX_HANDLERS || !good_name(h.name, sizeof(h.name)) ||
		    !h.contexts || h.contexts & ~SYM_CONTEXT_ALL || known(table, &h)) {
			refused++;
			continue;
		}
		table->handler[table->nr++] = h;
		hash_add(hash, h.number, h.contexts);
	}
	__atomic_store_n(&table->current, hash, __ATOMIC_RELEASE);
	return refused;
}

int sym_read_handlers(struct sym *sym)
{
	_Alignas(8) uint8_t buf[SYM_SPY_GUEST_SIZE];
	unsigned int refused;
	int ret = sym_spy_read(sym, buf);

	if (ret == -EPROTO)
		sym_fault(sym, -1, "the guest's SymSpy page is not valid");
	if (ret)
		return ret;
	pthread_mutex_lock(&sym->lock);
	if (((const struct sym_spy_header *)buf)->generation != sym->generation) {
		pthread_mutex_unlock(&sym->lock);
		return -ENODEV;
	}
	refused = take_handlers(&sym->handlers, buf);
	pthread_mutex_unlock(&sym->lock);
	if (refused)
		sym_fault(sym, -1, "%u entries of the guest's handler table are not valid",
			  refused);
	return 0;
}

int sym_handler_find(struct sym *sym, const char *name, struct sym_item_handler *handler)
{
	int ret = -ENOSYS;

	pthread_mutex_lock(&sym->lock);
	if (!sym->generation)
		ret = -ENODEV;
	for (unsigned int i = 0; i < sym->handlers.nr; i++)
		if (!strcmp(sym->handlers.handler[i].name, name)) {
			*handler = sym->handlers.handler[i];
			ret = 0;
		}
	pthread_mutex_unlock(&sym->lock);
	return ret;
}
