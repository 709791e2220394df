// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs in a guest: exports a value, says what the VMM shows, and stays.
 *
 *	symvalue NAME TEXT SECONDS [SHOWN]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "symkit/guest.h"

int main(int argc, char **argv)
{
	struct sym_guest *guest;
	char shown[65] = "";
	int ret;

	if (argc < 4)
		return 2;
	ret = sym_guest_open(NULL, &guest);
	if (!ret)
		ret = sym_guest_set(guest, argv[1], argv[2], strlen(argv[2]));
	if (!ret && argc > 4)
		ret = sym_guest_get(guest, argv[4], shown, sizeof(shown) - 1);
	printf("symvalue: %d %s\n", ret < 0 ? ret : 0, shown);
	fflush(stdout);
	sleep(atoi(argv[3]));
	return ret < 0;
}
