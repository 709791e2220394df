// SPDX-License-Identifier: BSD-2-Clause
/*
 * udpports ADDRESS PORT COUNT: a datagram to ADDRESS:PORT from each of COUNT ports.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	unsigned int sent = 0, count;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: udpports ADDRESS PORT COUNT\n");
		return 2;
	}
	to.sin_port = htons(atoi(argv[2]));
	count = atoi(argv[3]);
	for (unsigned int i = 0; i < count; i++) {
		struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(2000 + i) };
		int fd = socket(AF_INET, SOCK_DGRAM, 0);

		if (fd >= 0 && !bind(fd, (struct sockaddr *)&from, sizeof(from)) &&
		    sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1)
			sent++;
		close(fd);
	}
	printf("udpports: sent %u\n", sent);
	return 0;
}
