// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest modules that come with the initrd (SymMod's boot route): which kernel this is,
 * which modules there are for it, and the archive that carries them.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "sym/symmod.h"

#define MAX_MODULES 16
#define BANNER "Linux version "
#define CHUNK (256 * 1024)

/* The first word of @text, if it looks like a release. */
static bool take_release(struct boot_image *img, const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && isgraph((unsigned char)text[n]))
		n++;
	if (!n || n == len || n >= sizeof(img->release) || !isdigit((unsigned char)text[0]))
		return false;
	memcpy(img->release, text, n);
	img->release[n] = '\0';
	return true;
}

/* A bzImage says it in its setup code. */
static void bzimage_release(struct boot_image *img)
{
	char text[sizeof(img->release) + 1];
	ssize_t n;

	if (!img->hdr.kernel_version)
		return;
	n = pread(img->kernel_fd, text, sizeof(text), 0x200 + img->hdr.kernel_version);
	if (n > 0)
		take_release(img, text, n);
}

/* A vmlinux has the banner somewhere in its data. */
static void vmlinux_release(struct boot_image *img)
{
	const size_t overlap = strlen(BANNER) + sizeof(img->release);
	char *buf = malloc(CHUNK);
	uint64_t at = 0;
	ssize_t n;

	while (buf && !img->release[0] &&
	       (n = pread(img->kernel_fd, buf, CHUNK, at)) > (ssize_t)overlap) {
		const char *p = buf, *end = buf + n;

		while (!img->release[0] && (p = memmem(p, end - p, BANNER, strlen(BANNER)))) {
			p += strlen(BANNER);
			take_release(img, p, end - p);
		}
		at += n - overlap;
	}
	free(buf);
}

/* @optional: a module that is not there is no error; what is missing is told instead. */
static int add_module(struct boot_image *img, const char *name, bool optional,
		      struct symmod_image *images, unsigned int *nr, struct err *err)
{
	struct sym_err why = { 0 };
	char path[PATH_MAX];
	int fd, ret;

	fd = symmod_find(img->config->modules, img->release, name, path, sizeof(path), &why);
	ret = fd;
	if (fd >= 0) {
		ret = symmod_read(fd, path, &images[*nr], &why);
		close(fd);
		if (!ret) {
			++*nr;
			ret = symmod_match(&images[*nr - 1], img->release, &why);
		}
	}
	if (ret < 0 && !(optional && ret == -ENOENT))
		return err_set(err, ret, "--initrd-modules: %s", why.text);
	if (ret < 0)
		snprintf(img->missing, sizeof(img->missing), "%s", why.text);
	return 0;
}

static int collect(struct boot_image *img, struct symmod_image *images, unsigned int *nr,
		   struct err *err)
{
	char *list, *rest, *name;
	int ret = 0;

	if (!img->config->initrd_modules)
		return add_module(img, "symbiotic", true, images, nr, err);
	list = rest = strdup(img->config->initrd_modules);
	if (!list)
		return err_set(err, -ENOMEM, "--initrd-modules: out of memory");
	while (!ret && (name = strsep(&rest, ","))) {
		if (*nr == MAX_MODULES)
			ret = err_set(err, -E2BIG, "--initrd-modules: more than %d", MAX_MODULES);
		else if (*name)
			ret = add_module(img, name, false, images, nr, err);
	}
	free(list);
	return ret;
}

int boot_add_modules(struct boot_image *img, struct err *err)
{
	const char *wanted = img->config->initrd_modules;
	struct symmod_image *images;
	unsigned int nr = 0;
	int ret;

	img->missing[0] = '\0';
	if (wanted && !*wanted)
		return 0;
	if (!wanted && (!img->config->symbiotic || img->initrd_fd < 0))
		return 0;
	if (img->initrd_fd < 0)
		return err_set(err, -EINVAL, "--initrd-modules: there is no --initrd");
	if (img->kind == KERNEL_BZIMAGE)
		bzimage_release(img);
	else
		vmlinux_release(img);
	if (!img->release[0])
		return wanted ? err_set(err, -EINVAL, "--initrd-modules: kernel %s does not say "
					"its release", img->config->kernel) : 0;
	images = calloc(MAX_MODULES, sizeof(*images));
	if (!images)
		return err_set(err, -ENOMEM, "--initrd-modules: out of memory");
	ret = collect(img, images, &nr, err);
	if (!ret && nr && symmod_archive(images, nr, img->initrd_size, &img->archive,
					 &img->archive_size))
		ret = err_set(err, -ENOMEM, "--initrd-modules: out of memory");
	img->modules[0] = '\0';
	for (unsigned int i = 0; i < nr; i++) {
		size_t len = strlen(img->modules);

		snprintf(img->modules + len, sizeof(img->modules) - len, "%s%s", i ? "," : "",
			 images[i].name);
		symmod_free(&images[i]);
	}
	free(images);
	return ret;
}
