// SPDX-License-Identifier: BSD-2-Clause
/* See module_file.h. */
#include "module_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct module_file *module_make(const char *modinfo, size_t len)
{
	static const char names[] = "\0.modinfo\0.shstrtab";
	struct module_file *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_true(len <= sizeof(f->modinfo));
	memcpy(f->head.e_ident, ELFMAG "\2\1\1", 7);
	f->head.e_type = ET_REL;
	f->head.e_machine = EM_X86_64;
	f->head.e_version = EV_CURRENT;
	f->head.e_ehsize = sizeof(f->head);
	f->head.e_shoff = offsetof(struct module_file, sections);
	f->head.e_shentsize = sizeof(f->sections[0]);
	f->head.e_shnum = 3;
	f->head.e_shstrndx = 2;
	memcpy(f->names, names, sizeof(names));
	memcpy(f->modinfo, modinfo, len);
	f->sections[1] = (Elf64_Shdr){
		.sh_name = 1,
		.sh_type = SHT_PROGBITS,
		.sh_flags = SHF_ALLOC,
		.sh_offset = offsetof(struct module_file, modinfo),
		.sh_size = len,
		.sh_addralign = 1,
	};
	f->sections[2] = (Elf64_Shdr){
		.sh_name = 10,
		.sh_type = SHT_STRTAB,
		.sh_offset = offsetof(struct module_file, names),
		.sh_size = sizeof(names),
		.sh_addralign = 1,
	};
	return f;
}
