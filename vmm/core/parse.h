/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parsing values from the command line, the config file or the control socket.
 */
#ifndef VMM_CORE_PARSE_H
#define VMM_CORE_PARSE_H

#include <stdint.h>

#include "core/err.h"

/*
 * parse_size - convert @s to bytes: "4096", "512M", "4G".  -EINVAL with @err set, which names
 * @where, the option or parameter.
 */
int parse_size(const char *s, const char *where, uint64_t *out, struct err *err);

#endif
