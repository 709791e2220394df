// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs in a guest as root: how many values may each user show while the others show theirs?
 * Users 1001, 1002 and 1003 take all they can get, then root does.
 *
 * Prints "values: N N N N".
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "symkit/guest.h"

#define FILES  16
#define VALUES 8 /* a file */

static int take(void)
{
	struct sym_guest *guest;
	char name[16];
	int taken = 0;

	for (int f = 0; f < FILES; f++) {
		if (sym_guest_open(NULL, &guest)) /* stays open: so do its values */
			return -1;
		for (int v = 0; v < VALUES; v++) {
			snprintf(name, sizeof(name), "v%d", v);
			taken += !sym_guest_set(guest, name, "x", 1);
		}
	}
	return taken;
}

/* As @uid, in a process that stays until the pipe is closed. */
static int take_as(int uid, const int stay[2])
{
	int result[2], taken = -1;
	char byte;

	if (pipe(result))
		return -1;
	if (!fork()) {
		close(stay[1]);
		if (setuid(uid))
			_exit(1);
		taken = take();
		if (write(result[1], &taken, sizeof(taken)) != sizeof(taken))
			_exit(1);
		_exit(read(stay[0], &byte, 1) != 0);
	}
	if (read(result[0], &taken, sizeof(taken)) != sizeof(taken))
		taken = -1;
	return taken;
}

int main(void)
{
	int stay[2];

	if (pipe(stay))
		return 1;
	printf("values:");
	for (int uid = 1001; uid <= 1004; uid++) {
		printf(" %d", take_as(uid < 1004 ? uid : 0, stay));
		fflush(stdout);
	}
	printf("\n");
	fflush(stdout);
	close(stay[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}
