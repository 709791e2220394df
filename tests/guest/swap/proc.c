// SPDX-License-Identifier: BSD-2-Clause
/* Small files of /proc and /sys. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "torture.h"

/* The number after @key at the beginning of a line; -1: there is none. */
long proc_number(const char *file, const char *key)
{
	char line[256];
	size_t n = strlen(key);
	long value = -1;
	FILE *f = fopen(file, "r");

	if (!f)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), f))
		if (!n)
			value = atol(line);
		else if (!strncmp(line, key, n) && (line[n] == ':' || isspace(line[n])))
			value = atol(line + n + 1);
	fclose(f);
	return value;
}

int64_t meminfo(const char *key)
{
	return (int64_t)proc_number("/proc/meminfo", key) * 1024;
}

bool put_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}
