// SPDX-License-Identifier: BSD-2-Clause
/*
 * windowhog GPA BYTES: a guest that takes what it was not lent.  Writes to all of the window
 * by way of /dev/mem, whatever its limit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE 4096

int main(int argc, char **argv)
{
	unsigned long gpa, bytes;
	volatile char *at;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: windowhog GPA BYTES\n");
		return 2;
	}
	gpa = strtoul(argv[1], NULL, 0);
	bytes = strtoul(argv[2], NULL, 0);
	fd = open("/dev/mem", O_RDWR);
	if (fd < 0) {
		perror("windowhog: /dev/mem");
		return 1;
	}
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, gpa);
	if (at == MAP_FAILED) {
		perror("windowhog: mmap");
		return 1;
	}
	for (unsigned long i = 0; i < bytes; i += PAGE)
		at[i] = 1;
	puts("windowhog: done");
	return 0;
}
