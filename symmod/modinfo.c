// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading a module.  The file is not trusted: it is copied once, libelf checks that
 * sections lie within it, and every string is bounded by its section.
 */
#include <ctype.h>
#include <errno.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sym/symmod.h"
#include "symbiotic/text.h"
#include "unpack.h"

bool symmod_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= SYM_NAME_LEN)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '_' && *name != '-')
			return false;
	return true;
}

bool symmod_name_equal(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if ((*a == '-' ? '_' : *a) != (*b == '-' ? '_' : *b))
			return false;
	return *a == *b;
}

/* The next value of @key after @last in a section of "key=value" strings, or NULL. */
static const char *modinfo_next(const Elf_Data *data, const char *key, const char *last)
{
	const char *p = data->d_buf, *end = p + data->d_size;
	size_t len = strlen(key);

	if (last)
		p = last + strlen(last) + 1; /* it is NUL-terminated */
	while (p && p < end) {
		size_t left = end - p, n = strnlen(p, left);

		if (n == left)
			return NULL; /* not NUL-terminated */
		if (n > len && !memcmp(p, key, len) && p[len] == '=')
			return p + len + 1;
		p += n + 1;
	}
	return NULL;
}

static const char *modinfo_get(const Elf_Data *data, const char *key)
{
	return modinfo_next(data, key, NULL);
}

static Elf_Data *find_modinfo(Elf *elf)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		Elf64_Shdr *shdr = elf64_getshdr(scn);
		const char *name = shdr ? elf_strptr(elf, names, shdr->sh_name) : NULL;

		if (name && !strcmp(name, ".modinfo") && shdr->sh_type == SHT_PROGBITS)
			return elf_rawdata(scn, NULL);
	}
	return NULL;
}

static int take_depends(const char *list, struct symmod_image *image)
{
	image->nr_depends = 0;
	while (*list) {
		size_t n = strcspn(list, ",");
		char *name;

		if (image->nr_depends == SYMMOD_MAX_DEPENDS || n >= SYM_NAME_LEN)
			return -EINVAL;
		name = image->depends[image->nr_depends];
		memcpy(name, list, n);
		name[n] = '\0';
		if (!symmod_name_ok(name))
			return -EINVAL;
		image->nr_depends++;
		list += n + (list[n] == ',');
	}
	return 0;
}

static int take_modinfo(const char *file, const Elf_Data *data, struct symmod_image *image,
			struct sym_err *err)
{
	const char *name = modinfo_get(data, "name"), *depends = modinfo_get(data, "depends");
	const char *vermagic = modinfo_get(data, "vermagic");

	if (!name || !symmod_name_ok(name))
		return sym_fail(err, -ENOEXEC, "%s: a module without a name", file);
	if (!vermagic || strlen(vermagic) >= sizeof(image->vermagic) ||
	    !sym_printable(vermagic, strlen(vermagic)) ||
	    strcspn(vermagic, " ") >= sizeof(image->release))
		return sym_fail(err, -ENOEXEC, "%s: does not say which kernel it is for", file);
	strcpy(image->name, name);
	strcpy(image->vermagic, vermagic);
	snprintf(image->release, sizeof(image->release), "%.*s", (int)strcspn(vermagic, " "),
		 vermagic);
	if (depends && take_depends(depends, image))
		return sym_fail(err, -ENOEXEC, "%s: its list of dependencies is not valid", file);
	return 0;
}

static int check_elf(const char *file, Elf *elf, struct symmod_image *image, struct sym_err *err)
{
	const Elf64_Ehdr *ehdr;
	Elf_Data *data;

	if (!elf || elf_kind(elf) != ELF_K_ELF)
		return sym_fail(err, -ENOEXEC, "%s: not a kernel module (not an ELF file)", file);
	ehdr = elf64_getehdr(elf);
	if (!ehdr || ehdr->e_machine != EM_X86_64 || ehdr->e_ident[EI_DATA] != ELFDATA2LSB)
		return sym_fail(err, -ENOEXEC, "%s: wrong architecture, x86-64 is needed", file);
	if (ehdr->e_type != ET_REL)
		return sym_fail(err, -ENOEXEC, "%s: not a kernel module (not a relocatable file)",
				file);
	if (ehdr->e_shoff > image->size ||
	    (image->size - ehdr->e_shoff) / sizeof(Elf64_Shdr) < ehdr->e_shnum)
		return sym_fail(err, -ENOEXEC, "%s: not a complete kernel module (truncated)",
				file);
	/* libelf returns pointers into the file: they must be aligned for their type. */
	if (ehdr->e_shoff % _Alignof(Elf64_Shdr))
		return sym_fail(err, -ENOEXEC, "%s: damaged: its section headers are not aligned",
				file);
	data = find_modinfo(elf);
	if (!data || !data->d_buf)
		return sym_fail(err, -ENOEXEC, "%s: not a kernel module (no .modinfo)", file);
	return take_modinfo(file, data, image, err);
}

int symmod_check(const char *file, struct symmod_image *image, struct sym_err *err)
{
	Elf *elf;
	int ret;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return sym_fail(err, -EIO, "libelf: %s", elf_errmsg(-1));
	elf = elf_memory(image->data, image->size);
	ret = check_elf(file, elf, image, err);
	elf_end(elf);
	return ret;
}

/* Is it a parameter of the module, or one that the kernel accepts for every module? */
static bool has_param(const Elf_Data *data, const char *name, size_t len)
{
	static const char *const kernels[] = { "async_probe", "dyndbg" };
	const char *type = NULL;
	char word[64], own[64];

	if (len >= sizeof(word))
		return false;
	snprintf(word, sizeof(word), "%.*s", (int)len, name);
	for (size_t i = 0; i < sizeof(kernels) / sizeof(*kernels); i++)
		if (!strcmp(word, kernels[i]))
			return true;
	while ((type = modinfo_next(data, "parmtype", type))) {
		size_t n = strcspn(type, ":");

		if (n >= sizeof(own))
			continue;
		snprintf(own, sizeof(own), "%.*s", (int)n, type);
		if (symmod_name_equal(own, word))
			return true;
	}
	return false;
}

int symmod_check_params(const struct symmod_image *image, const char *params, struct sym_err *err)
{
	Elf *elf = elf_memory(image->data, image->size);
	const Elf_Data *data = elf ? find_modinfo(elf) : NULL;
	int ret = 0;

	while (!ret && data && *(params += strspn(params, " \t\n"))) {
		size_t n = strcspn(params, "= \t\n");

		if (!has_param(data, params, n))
			ret = sym_fail(err, -EINVAL, "module %s has no parameter '%.*s'",
				       image->name, (int)(n < 64 ? n : 64), params);
		params += strcspn(params, " \t\n");
	}
	elf_end(elf);
	return ret;
}

static int read_all(int fd, const char *file, struct symmod_image *image, struct sym_err *err)
{
	size_t done = 0;
	struct stat st;

	if (fstat(fd, &st))
		return sym_fail(err, -errno, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return sym_fail(err, -EINVAL, "%s: not a regular file", file);
	if (st.st_size < (off_t)sizeof(Elf64_Ehdr))
		return sym_fail(err, -ENOEXEC, "%s: not a kernel module (too short)", file);
	if (st.st_size > SYM_MOD_MAX)
		return sym_fail(err, -EFBIG, "%s: larger than %u MiB", file, SYM_MOD_MAX >> 20);
	image->size = st.st_size;
	image->data = malloc(image->size);
	if (!image->data)
		return sym_fail(err, -ENOMEM, "%s: out of memory", file);
	while (done < image->size) {
		ssize_t n = pread(fd, (char *)image->data + done, image->size - done, done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sym_fail(err, -errno, "%s: %s", file, strerror(errno));
		if (!n)
			return sym_fail(err, -EIO, "%s: truncated while being read", file);
		done += n;
	}
	return 0;
}

int symmod_read(int fd, const char *file, struct symmod_image *image, struct sym_err *err)
{
	int ret;

	memset(image, 0, sizeof(*image));
	ret = read_all(fd, file, image, err);
	if (!ret)
		ret = symmod_unpack(file, image, err);
	if (!ret)
		ret = symmod_check(file, image, err);
	if (ret)
		symmod_free(image);
	return ret;
}

void symmod_free(struct symmod_image *image)
{
	free(image->data);
	image->data = NULL;
	image->size = 0;
}

int symmod_match(const struct symmod_image *image, const char *release, struct sym_err *err)
{
	if (!strcmp(image->release, release))
		return 0;
	return sym_fail(err, -ENOEXEC, "module %s is for Linux %s, the guest runs %s",
			image->name, image->release, release);
}
