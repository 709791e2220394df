/* SPDX-License-Identifier: BSD-2-Clause */
/* What the guest's kernel has counted. */
#ifndef TESTS_GUEST_VMSTAT_H
#define TESTS_GUEST_VMSTAT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* vmstat - the value of @key in /proc/vmstat; 0: there is none. */
static long vmstat(const char *key)
{
	char line[128];
	size_t n = strlen(key);
	long value = 0;
	FILE *f = fopen("/proc/vmstat", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, n) && line[n] == ' ')
			value = atol(line + n);
	if (f)
		fclose(f);
	return value;
}

#endif
