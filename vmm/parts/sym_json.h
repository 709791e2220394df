/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SymSpy as JSON, for the control socket.  All text in it comes from the guest: it is bounded
 * and converted to UTF-8, and must be sanitized before it is shown on a terminal.
 */
#ifndef VMM_PARTS_SYM_JSON_H
#define VMM_PARTS_SYM_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct sym;

/* sym_json_spy - everything that the guest shows; its vCPUs are 0 to @nr_vcpus - 1. */
json_t *sym_json_spy(struct sym *sym, unsigned int nr_vcpus);

/* sym_json_items - add the items in @page, a checked copy of the guest's page, to @out. */
void sym_json_items(json_t *out, const void *page);

/* sym_json_modules - only the array "modules". */
json_t *sym_json_modules(const void *page);

/* sym_json_text - of @max bytes at most, fewer if there is a NUL. */
json_t *sym_json_text(const void *text, size_t max);

/* sym_json_hex - @len bytes, as two digits each. */
json_t *sym_json_hex(const void *data, size_t len);

/* sym_json_number - 64 bits, as "0x…": JSON's numbers have 53. */
json_t *sym_json_number(uint64_t value);

/* sym_json_contexts - SYM_CONTEXT_* as an array of names. */
json_t *sym_json_contexts(uint32_t contexts);

/* sym_context_name - of one SYM_CONTEXT_*; sym_context_find: the reverse, 0 if unknown. */
const char *sym_context_name(uint32_t context);
uint32_t sym_context_find(const char *name);

#endif
