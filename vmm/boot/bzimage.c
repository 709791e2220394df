// SPDX-License-Identifier: BSD-2-Clause
/*
 * bzImage: the compressed kernel of every distribution.  The setup header is copied
 * once and checked; the real-mode code is not used (64-bit entry at +0x200).
 * Source: Documentation/arch/x86/boot.rst.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "boot/boot.h"
#include "core/layout.h"

#define SETUP_OFFSET  0x1f1
#define HDR_MAGIC     0x53726448 /* "HdrS" */
#define HDR_VERSION   0x020c /* the first with xloadflags */
#define ENTRY64	      0x200
#define DEFAULT_SECTS 4

int bzimage_open(struct boot_image *img, struct err *err)
{
	const char *path = img->config->kernel;
	struct setup_header *hdr = &img->hdr;
	unsigned int sects;
	ssize_t n;

	memset(hdr, 0, sizeof(*hdr));
	n = pread(img->kernel_fd, hdr, sizeof(*hdr), SETUP_OFFSET);
	if (n < 0)
		return err_errno(err, "kernel %s", path);
	if (n < (ssize_t)offsetof(struct setup_header, handover_offset) ||
	    hdr->boot_flag != 0xaa55 || hdr->header != HDR_MAGIC)
		return -ENOEXEC;
	if (hdr->version < HDR_VERSION || !(hdr->loadflags & LOADED_HIGH))
		return err_set(err, -ENOEXEC,
			       "kernel %s: boot protocol %u.%02u, 2.12 or later is needed", path,
			       hdr->version >> 8, hdr->version & 0xff);
	if (!(hdr->xloadflags & XLF_KERNEL_64))
		return err_set(err, -ENOEXEC, "kernel %s: not a 64-bit kernel", path);
	sects = hdr->setup_sects ? hdr->setup_sects : DEFAULT_SECTS;
	img->payload = (sects + 1) * 512ull;
	img->payload_size = 16ull * hdr->syssize;
	if (img->payload_size < ENTRY64 + 1 ||
	    img->payload + img->payload_size > img->kernel_size)
		return err_set(err, -ENOEXEC,
			       "kernel %s: truncated: %llu bytes, its header says %llu", path,
			       (unsigned long long)img->kernel_size,
			       (unsigned long long)(img->payload + img->payload_size));
	/* Its preferred address, so that it need not relocate itself first. */
	img->load_gpa = hdr->pref_address;
	if (img->load_gpa < KERNEL_MIN_GPA || img->load_gpa > RAM_LOW_MAX || img->load_gpa % 4096)
		return err_set(err, -ENOEXEC, "kernel %s: bad load address 0x%llx", path,
			       (unsigned long long)hdr->pref_address);
	img->load_end = img->load_gpa +
			(hdr->init_size > img->payload_size ? hdr->init_size : img->payload_size);
	img->entry = img->load_gpa + ENTRY64;
	img->kind = KERNEL_BZIMAGE;
	return 0;
}

int bzimage_load(const struct boot_image *img, struct guest_memory *mem, struct err *err)
{
	return boot_read_into(img->kernel_fd, img->config->kernel, img->payload,
			      img->payload_size, mem, img->load_gpa, err);
}
