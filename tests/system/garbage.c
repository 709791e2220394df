// SPDX-License-Identifier: BSD-2-Clause
/*
 * A VMM that writes nonsense for the guest to read, for the tests of the guest's module:
 * linked into symvmm in place of sym_msr_write() (-Wl,--wrap).  It says on stderr what.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbiotic/sym.h"

int __real_sym_msr_write(struct sym *sym, unsigned int id, uint32_t index, uint64_t value);
int __wrap_sym_msr_write(struct sym *sym, unsigned int id, uint32_t index, uint64_t value);

/* In turn, one for each generation; what is random has the generation for a seed. */
static const char *const words[] = {
	"magic",    "version", "kind",	 "size", "used",       "short",		  "generation",
	"odd",	    "zero",    "ones",	 "page", "area-magic", "area-generation", "area-zero",
	"area",	    "item",    "beyond", "tiny", "text",       "items",		  "area-vcpu",
	"requests", "nothing",
};

static bool is(const char *what, const char *word)
{
	return !strcmp(what, word);
}

static void fill(void *to, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)to)[i] = rand_r(&seed);
}

/* The page's header, and the first item after it. */
static void scribble_page(const char *what, void *page, unsigned int seed)
{
	struct sym_spy_header *head = page;
	struct sym_item *item = (struct sym_item *)(head + 1);
	const size_t items = SYM_PAGE_SIZE - sizeof(*head);

	if (is(what, "magic"))
		head->magic++;
	else if (is(what, "version"))
		head->version++;
	else if (is(what, "kind"))
		head->kind = SYM_SPY_GUEST;
	else if (is(what, "size"))
		head->size = ~0u;
	else if (is(what, "used"))
		head->used = SYM_PAGE_SIZE + 8;
	else if (is(what, "short"))
		head->used = sizeof(*head) - 1;
	else if (is(what, "generation"))
		head->generation++;
	else if (is(what, "odd"))
		head->sequence |= 1;
	else if (is(what, "item"))
		item->len = ~0u;
	else if (is(what, "beyond"))
		item->len = head->used;
	else if (is(what, "tiny"))
		item->len = 1;
	else if (is(what, "zero"))
		memset(page, 0, SYM_PAGE_SIZE);
	else if (is(what, "ones"))
		memset(page, 0xff, SYM_PAGE_SIZE);
	else if (is(what, "text"))
		memset(item + 1, 'x', items - sizeof(*item));
	else if (is(what, "items")) {
		fill(item, items, seed);
		head->used = SYM_PAGE_SIZE;
	} else if (is(what, "page"))
		fill(page, SYM_PAGE_SIZE, seed);
}

/* Requests that nobody made; some look as if they could be run. */
static void wild_requests(struct sym_call_area *area, unsigned int seed)
{
	fill(area->host.request, sizeof(area->host.request), seed);
	for (unsigned int i = 0; i < SYM_CALL_SLOTS; i++) {
		struct sym_call_request *r = &area->host.request[i];

		r->context = i % 3 == 2 ? r->context :
			     i % 3	? SYM_CONTEXT_INTERRUPT :
					  SYM_CONTEXT_THREAD;
		r->handler %= i % 2 ? 6 : ~0u;
		r->payload_len = i == 5 ? SYM_CALL_PAYLOAD + 1 : r->payload_len;
	}
}

static void scribble_area(const char *what, struct sym_call_area *area, unsigned int seed)
{
	if (is(what, "area-magic"))
		area->host.magic++;
	else if (is(what, "area-generation"))
		area->host.generation--;
	else if (is(what, "area-vcpu"))
		area->host.vcpu = ~0u;
	else if (is(what, "area-zero"))
		memset(&area->host, 0, sizeof(area->host));
	else if (is(what, "area"))
		fill(&area->host, sizeof(area->host), seed);
	else if (is(what, "requests"))
		wild_requests(area, seed);
}

int __wrap_sym_msr_write(struct sym *sym, unsigned int id, uint32_t index, uint64_t value)
{
	int ret = __real_sym_msr_write(sym, id, index, value);
	unsigned int generation = sym->last_generation;
	const char *what = words[generation % (sizeof(words) / sizeof(words[0]))];

	if (ret < 0)
		return ret;
	if (index == SYM_MSR_COOKIE && value)
		fprintf(stderr, "garbage: generation %u: %s\n", generation, what);
	if (index == SYM_MSR_SPY_HOST && sym->show)
		scribble_page(what, sym->show, generation);
	if (index == SYM_MSR_CALL_AREA && sym->vcpu[id].area)
		scribble_area(what, sym->vcpu[id].area, generation);
	return ret;
}
