// SPDX-License-Identifier: BSD-2-Clause
/*
 * transfer serve PORT: on the loopback, until killed: take connections one at a time; the
 * first byte says 'd' (send MiB after MiB until the other side closes) or 'u' (read until
 * it closes, then answer one byte).
 * transfer down|up ADDRESS PORT MIB: from the guest; prints "BENCH down|up MiB/s".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 65536

static char buf[CHUNK];

static void die(const char *what)
{
	fprintf(stderr, "transfer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void serve(const struct sockaddr_in *addr)
{
	int one = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (const struct sockaddr *)addr, sizeof(*addr)) || listen(s, 4))
		die("serve");
	for (;;) {
		int c = accept(s, NULL, NULL);
		char what = 0;

		if (c < 0)
			continue;
		if (read(c, &what, 1) == 1 && what == 'd') {
			while (write(c, buf, sizeof(buf)) > 0)
				;
		} else {
			while (read(c, buf, sizeof(buf)) > 0)
				;
			if (write(c, "", 1) != 1)
				fprintf(stderr, "transfer: the sender went away\n");
		}
		close(c);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct timespec t0, t1;
	unsigned long long left, total;
	double seconds;
	int up, s;

	if (argc == 3 && !strcmp(argv[1], "serve")) {
		addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		addr.sin_port = htons(atoi(argv[2]));
		serve(&addr);
	}
	if (argc != 5 || inet_pton(AF_INET, argv[2], &addr.sin_addr) != 1)
		return 2;
	up = !strcmp(argv[1], "up");
	addr.sin_port = htons(atoi(argv[3]));
	total = left = strtoull(argv[4], NULL, 10) << 20;
	s = socket(AF_INET, SOCK_STREAM, 0);
	if (s < 0 || connect(s, (struct sockaddr *)&addr, sizeof(addr)))
		die("connect");
	clock_gettime(CLOCK_MONOTONIC, &t0);
	if (write(s, up ? "u" : "d", 1) != 1)
		die("write");
	while (left) {
		size_t want = left < sizeof(buf) ? left : sizeof(buf);
		ssize_t n = up ? write(s, buf, want) : read(s, buf, want);

		if (n <= 0)
			die("connection broken");
		left -= n;
	}
	if (up) {
		/* All of it has arrived when the answer comes. */
		shutdown(s, SHUT_WR);
		if (read(s, buf, 1) != 1)
			die("no answer");
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	seconds = t1.tv_sec - t0.tv_sec + (t1.tv_nsec - t0.tv_nsec) / 1e9;
	printf("BENCH %s %.3f\n", argv[1], total / 1048576.0 / seconds);
	return 0;
}
