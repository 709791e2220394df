// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest modules that come with the initrd (SymMod's boot route): finding the kernel's
 * release and the modules for it, and making the archive that contains them.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "core/memory.h"
#include "sym/symmod.h"

#define BANNER "Linux version "
#define CHUNK  (256 * 1024)

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

/* A bzImage has it in its setup code. */
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

/* Read and check module @i; @image is the caller's to free, also after an error. */
static int read_module(const struct boot_image *img, unsigned int i, struct symmod_image *image,
		       struct sym_err *why)
{
	int ret = symmod_read(img->module[i].fd, img->module[i].path, image, why);

	return ret ? ret : symmod_match(image, img->release, why);
}

static void add_name(struct boot_image *img, const char *name)
{
	size_t len = strlen(img->modules);

	snprintf(img->modules + len, sizeof(img->modules) - len, "%s%s", len ? "," : "", name);
}

/* Open the module @name, and keep it open if it fits. */
static int open_module(struct boot_image *img, const char *name, struct sym_err *why)
{
	unsigned int i = img->nr_modules;
	struct symmod_image image = { 0 };
	char path[PATH_MAX];
	int ret, fd = symmod_find(img->config->modules, img->release, name, path, sizeof(path),
				  why);

	if (fd < 0)
		return fd;
	img->module[i].fd = fd;
	img->module[i].path = strdup(path);
	img->nr_modules++;
	if (!img->module[i].path)
		return sym_fail(why, -ENOMEM, "out of memory");
	ret = read_module(img, i, &image, why);
	if (!ret)
		add_name(img, image.name);
	symmod_free(&image);
	return ret;
}

/* @optional: a missing module is no error; the reason goes to @img->missing. */
static int add_module(struct boot_image *img, const char *name, bool optional, struct err *err)
{
	struct sym_err why = { 0 };
	int ret = open_module(img, name, &why);

	if (ret && !(optional && ret == -ENOENT))
		return err_set(err, ret, "--initrd-modules: %s", why.text);
	if (ret)
		snprintf(img->missing, sizeof(img->missing), "%s", why.text);
	return 0;
}

static int add_all(struct boot_image *img, struct err *err)
{
	char *list, *rest, *name;
	int ret = 0;

	if (!img->config->initrd_modules)
		return add_module(img, "symbiotic", true, err);
	list = rest = strdup(img->config->initrd_modules);
	if (!list)
		return err_set(err, -ENOMEM, "--initrd-modules: out of memory");
	while (!ret && (name = strsep(&rest, ","))) {
		if (*name && img->nr_modules == BOOT_MAX_MODULES)
			ret = err_set(err, -E2BIG, "--initrd-modules: more than %d",
				      BOOT_MAX_MODULES);
		else if (*name)
			ret = add_module(img, name, false, err);
	}
	free(list);
	return ret;
}

/* The archive; for a few tenths of a megabyte it is not kept until the next boot. */
static int make_archive(const struct boot_image *img, uint8_t **out, size_t *size,
			struct err *err)
{
	struct symmod_image *images = calloc(BOOT_MAX_MODULES, sizeof(*images));
	struct sym_err why = { 0 };
	int ret = images ? 0 : sym_fail(&why, -ENOMEM, "out of memory");

	for (unsigned int i = 0; i < img->nr_modules && !ret; i++)
		ret = read_module(img, i, &images[i], &why);
	if (!ret && symmod_archive(images, img->nr_modules, img->initrd_size, out, size))
		ret = sym_fail(&why, -ENOMEM, "out of memory");
	for (unsigned int i = 0; images && i < img->nr_modules; i++)
		symmod_free(&images[i]);
	free(images);
	return ret ? err_set(err, ret, "--initrd-modules: %s", why.text) : 0;
}

int boot_add_modules(struct boot_image *img, struct err *err)
{
	const char *wanted = img->config->initrd_modules;
	uint8_t *archive = NULL;
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
		return wanted ? err_set(err, -EINVAL,
					"--initrd-modules: kernel %s does not contain "
					"its release",
					img->config->kernel) :
				0;
	ret = add_all(img, err);
	if (ret || !img->nr_modules)
		return ret;
	ret = make_archive(img, &archive, &img->archive_size, err);
	if (!ret)
		free(archive);
	return ret;
}

int boot_load_modules(const struct boot_image *img, struct guest_memory *mem, uint64_t gpa,
		      struct err *err)
{
	uint8_t *archive = NULL;
	size_t size = 0;
	int ret = make_archive(img, &archive, &size, err);

	if (ret)
		return ret;
	if (size != img->archive_size)
		ret = err_set(err, -EIO,
			      "--initrd-modules: a file was changed while the VM ran: %s",
			      img->modules);
	else if (gmem_write(mem, gpa, archive, size))
		ret = err_set(err, -EFAULT, "guest memory: no room for the initrd's modules");
	free(archive);
	return ret;
}

void boot_close_modules(struct boot_image *img)
{
	for (unsigned int i = 0; i < img->nr_modules; i++) {
		close(img->module[i].fd);
		free(img->module[i].path);
	}
	img->nr_modules = 0;
	img->archive_size = 0;
}
