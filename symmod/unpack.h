/* SPDX-License-Identifier: BSD-2-Clause */
/* Modules that a distribution has compressed: .ko.xz, .ko.zst, .ko.gz. */
#ifndef SYMMOD_UNPACK_H
#define SYMMOD_UNPACK_H

#include "sym/symmod.h"

/*
 * symmod_unpack - decompress @image->data, as read from a file, in place.
 * @file: its name, for messages
 *
 * The format is determined by the first bytes, not by the name; data that is not compressed
 * is left unchanged.  Uses memory only: no files, no threads.  Any thread.
 *
 * Returns 0, or with @err set -ENOEXEC (truncated, damaged), -EFBIG (more than SYM_MOD_MAX
 * bytes), -ENOMEM.  @image->data is unchanged then.
 */
int symmod_unpack(const char *file, struct symmod_image *image, struct sym_err *err);

#endif
