/* SPDX-License-Identifier: BSD-2-Clause */
/* Compressing what SymMod is to decompress, as xz(1), zstd(1) and gzip(1) do. */
#ifndef TESTS_UNIT_PACKED_H
#define TESTS_UNIT_PACKED_H

#include <stddef.h>
#include <stdint.h>

#define PACKED_MAX (1u << 20)
#define NR_FORMS   3

struct form {
	const char *ending; /* of a module's file */
	const char *says; /* as messages call it */
	size_t (*pack)(const void *data, size_t size); /* into packed; its length */
};

extern uint8_t packed[PACKED_MAX];
extern const struct form forms[NR_FORMS]; /* xz, zstd, gzip */

#define for_each_form(form) for (const struct form *form = forms; form < forms + NR_FORMS; form++)

#endif
