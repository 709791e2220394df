// SPDX-License-Identifier: BSD-2-Clause
/*
 * dnsd ADDRESS ANSWER: a name server on port 53 of ADDRESS that gives every name the
 * IPv4 address ANSWER.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HEADER 12

/* Turn the query into its answer; the length, or 0 for what is no question. */
static size_t answer(unsigned char *q, size_t len, const struct in_addr *addr)
{
	static const unsigned char record[] = { 0xc0, HEADER, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 };
	size_t end = HEADER;

	while (end < len && q[end])
		end += q[end] + 1;
	end += 5; /* the name's end, type and class */
	if (len < HEADER || end > len)
		return 0;
	q[2] = 0x81;
	q[3] = 0x80;
	memset(q + 6, 0, 6); /* no records behind the question, or one */
	if (q[end - 4] || q[end - 3] != 1)
		return end;
	q[7] = 1;
	memcpy(q + end, record, sizeof(record));
	memcpy(q + end + sizeof(record), addr, 4);
	return end + sizeof(record) + 4;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct in_addr addr;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &at.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[2], &addr) != 1) {
		fprintf(stderr, "usage: dnsd ADDRESS ANSWER\n");
		return 2;
	}
	if (bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		perror("dnsd: bind");
		return 1;
	}
	for (;;) {
		unsigned char packet[1024];
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&from, &from_len);
		size_t len = n > 0 ? answer(packet, n, &addr) : 0;

		if (len)
			sendto(fd, packet, len, 0, (struct sockaddr *)&from, from_len);
	}
}
