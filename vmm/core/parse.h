/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values that users write, on the command line, in a file or to the control socket.
 */
#ifndef VMM_CORE_PARSE_H
#define VMM_CORE_PARSE_H

#include <stdint.h>

#include "core/err.h"

/*
 * parse_size - @s as bytes: "4096", "512M", "4G".  -EINVAL with @err set, which names
 * @where, the option or parameter.
 */
int parse_size(const char *s, const char *where, uint64_t *out, struct err *err);

#endif
