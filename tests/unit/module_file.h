/* SPDX-License-Identifier: BSD-2-Clause */
/* The smallest file that SymMod takes for a module: a header, .modinfo, names of sections. */
#ifndef TESTS_UNIT_MODULE_FILE_H
#define TESTS_UNIT_MODULE_FILE_H

#include <elf.h>
#include <stddef.h>

struct module_file {
	Elf64_Ehdr head;
	char names[24];
	char modinfo[512];
	Elf64_Shdr sections[3]; /* nothing, .modinfo, the names */
};

/* With these @len bytes as its .modinfo; the caller frees it. */
struct module_file *module_make(const char *modinfo, size_t len);

#endif
