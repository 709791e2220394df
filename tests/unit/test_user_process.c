// SPDX-License-Identifier: BSD-2-Clause
/*
 * The process of user-mode networking (net/user_process.c): its work, its error reports,
 * how it ends, and its limits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/poll_set.h"
#include "net/backend.h"
#include "net/user.h"
#include "net/user_process.h"
#include "tests/unit/sanitizer.h"

#define WAIT_MS 10000

struct user {
	struct vm_config config;
	struct net_processes *np;
	struct net_backend *be;
	struct err err;
	char reason[256]; /* why the link went down; "" while it is up */
	uint8_t frame[2048]; /* the last ARP answer */
	size_t len;
	uint8_t flags; /* of the last frame's virtio header */
};

static bool on_frame(void *arg, const uint8_t *frame, size_t len)
{
	struct user *u = arg;

	u->flags = frame[offsetof(struct virtio_net_hdr, flags)];
	frame += NET_HDR_LEN;
	len -= NET_HDR_LEN;
	assert_in_range(len, 42, sizeof(u->frame));
	if (memcmp(frame + 12, "\10\6", 2) || frame[21] != 2)
		return true; /* not an ARP answer */
	u->len = len;
	memcpy(u->frame, frame, len);
	return true;
}

static void on_down(void *arg, const char *reason)
{
	struct user *u = arg;

	assert_string_equal(u->reason, "");
	snprintf(u->reason, sizeof(u->reason), "%s", reason);
}

static int setup(void **state)
{
	struct user *u = calloc(1, sizeof(*u));

	assert_non_null(u);
	u->config.nr_nets = 1;
	u->config.seccomp = !UNDER_SANITIZER;
	*state = u;
	return 0;
}

static int teardown(void **state)
{
	struct user *u = *state;

	if (u->be)
		u->be->ops->destroy(u->be);
	net_processes_stop(u->np);
	/* No process or file is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	free(u);
	return 0;
}

static void start(struct user *u)
{
	if (net_processes_start(&u->config, &u->np, &u->err) ||
	    net_user_create(u->np, 0, &u->be, &u->err))
		fail_msg("%s", u->err.msg);
	u->be->rx = on_frame;
	u->be->down = on_down;
	u->be->arg = u;
}

/* The only child there is. */
static pid_t child_of(pid_t parent)
{
	char path[64];
	FILE *f;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	f = fopen(path, "r");
	assert_non_null(f);
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The card's thread, until an ARP answer came or the link went down. */
static void wait_frame(struct user *u)
{
	struct poll_set set = { 0 };
	long end = now_ms() + WAIT_MS;

	u->len = 0;
	while (!u->len && !u->reason[0] && now_ms() < end) {
		set.nr = 0;
		set.timeout_ms = 100;
		u->be->ops->poll_fill(u->be, &set);
		poll(set.fds, set.nr, set.timeout_ms);
		u->be->ops->poll_done(u->be, &set);
	}
	free(set.fds);
}

static void send_frame(struct user *u, const uint8_t *frame, size_t len)
{
	static const uint8_t hdr[NET_HDR_LEN];
	struct iovec iov[] = { { (void *)hdr, sizeof(hdr) }, { (void *)frame, len } };

	u->be->ops->send(u->be, iov, 2, sizeof(hdr) + len);
}

/* "Who has 10.0.2.2?" is answered. */
static void ask(struct user *u)
{
	static const uint8_t arp[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1, 2, 3, 4,  5, 8, 6, /* Ethernet */
		0,    1,    8,	  0,	6,    4,    0, 1, 2, 1, 2,  3, 4, 5,
		10,   0,    2,	  15,	0,    0,    0, 0, 0, 0, 10, 0, 2, 2,
	};

	send_frame(u, arp, sizeof(arp));
	wait_frame(u);
	assert_string_equal(u->reason, "");
	assert_true(u->len >= sizeof(arp));
	assert_memory_equal(u->frame + 28, "\12\0\2\2\2\1\2\3\4\5\12\0\2\17", 14);
}

/* A datagram from a port of the guest to port 9 of the host. */
static void send_udp(struct user *u, uint16_t port, uint16_t offset_flags)
{
	uint8_t f[46] = { 0x52, 0x55, 10, 0, 2, 2, 2, 1, 2, 3, 4, 5, 8, 0 }, *ip = f + 14;
	uint32_t sum = 0;

	ip[0] = 0x45;
	ip[3] = 32;
	ip[4] = port >> 8; /* identification: each datagram its own */
	ip[5] = port;
	ip[6] = offset_flags >> 8;
	ip[7] = offset_flags;
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, "\12\0\2\17\12\0\2\2", 8);
	for (int i = 0; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = ~sum >> 8;
	ip[11] = ~sum;
	ip[20] = port >> 8;
	ip[21] = port;
	ip[23] = 9;
	ip[25] = 12;
	send_frame(u, f, sizeof(f));
}

/* Only root may look: the process is not dumpable. */
static unsigned int count_fds(pid_t pid)
{
	char path[64], command[96];
	unsigned int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	snprintf(command, sizeof(command), "ls %s | wc -l", path);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

/* CPU time of @pid in clock ticks. */
static unsigned long ticks(pid_t pid)
{
	unsigned long user, system;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(
		fscanf(f, "%*d %*s %*c%*d%*d%*d%*d%*d%*u%*u%*u%*u%*u %lu %lu", &user, &system),
		2);
	fclose(f);
	return user + system;
}

/* It exists, and is not a zombie that another process has to reap. */
static bool is_alive(pid_t pid)
{
	char path[64], state = 'Z';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d %*s %c", &state) != 1)
		state = 'Z';
	fclose(f);
	return state != 'Z';
}

static void test_answers(void **state)
{
	struct user *u = *state;

	start(u);
	ask(u);
	ask(u);
}

/* The guest need not compute checksums again, if its driver accepts that (5.1.6.4.1). */
static void test_checksums(void **state)
{
	const uint64_t csum = 1ull << VIRTIO_NET_F_GUEST_CSUM;
	struct user *u = *state;

	start(u);
	assert_true(u->be->features & csum);
	u->be->ops->set_offload(u->be, csum);
	ask(u);
	assert_int_equal(u->flags, VIRTIO_NET_HDR_F_DATA_VALID);
	u->be->ops->set_offload(u->be, 0);
	ask(u);
	assert_int_equal(u->flags, 0);
}

static void test_without_the_filter(void **state)
{
	struct user *u = *state;

	u->config.seccomp = false;
	start(u);
	ask(u);
}

static int listen_on(uint16_t *port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static void forward(struct user *u, uint16_t port)
{
	u->config.nets[0].nr_fwd = 1;
	u->config.nets[0].fwd[0] = (struct net_fwd){ false, INADDR_LOOPBACK, port, 80 };
}

static void test_port_in_use(void **state)
{
	struct user *u = *state;
	uint16_t port;
	int fd = listen_on(&port);
	char want[128];

	forward(u, port);
	assert_int_equal(net_processes_start(&u->config, &u->np, &u->err), 0);
	assert_int_equal(net_user_create(u->np, 0, &u->be, &u->err), -EADDRINUSE);
	snprintf(want, sizeof(want), "--net user: forwarding tcp port %u: Address already in use",
		 port);
	assert_string_equal(u->err.msg, want);
	close(fd);
}

static void test_killed(void **state)
{
	struct user *u = *state;

	start(u);
	ask(u);
	kill(child_of(getpid()), SIGKILL);
	wait_frame(u);
	assert_string_equal(u->reason, "the network process closed the connection");
}

static void test_killed_at_its_start(void **state)
{
	struct user *u = *state;

	assert_int_equal(net_processes_start(&u->config, &u->np, &u->err), 0);
	kill(child_of(getpid()), SIGKILL);
	if (net_user_create(u->np, 0, &u->be, &u->err))
		assert_string_equal(u->err.msg, "--net user: its process ended while it started");
}

/* Signals of a terminal, or to the whole group, are not for it. */
static void test_signals(void **state)
{
	static const int signals[] = { SIGINT, SIGQUIT, SIGHUP, SIGTERM };
	struct user *u = *state;

	start(u);
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		kill(child_of(getpid()), signals[i]);
	ask(u);
}

/* One that does not end by itself is killed. */
static void test_stopped(void **state)
{
	struct user *u = *state;
	long begin = now_ms();

	start(u);
	kill(child_of(getpid()), SIGSTOP);
	u->be->ops->destroy(u->be);
	u->be = NULL;
	net_processes_stop(u->np);
	u->np = NULL;
	assert_in_range(now_ms() - begin, 900, 8000);
	assert_int_equal(child_of(getpid()), 0);
}

/* It does not survive a VMM that is killed. */
static void test_parent_killed(void **state)
{
	struct user *u = *state;
	int fds[2];
	pid_t parent, child;
	char byte;

	assert_int_equal(pipe(fds), 0);
	parent = fork();
	if (!parent) {
		start(u);
		if (write(fds[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	child = child_of(parent);
	assert_true(child > 0);
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	for (int i = 0; i < 100 && is_alive(child); i++)
		usleep(50000);
	assert_false(is_alive(child));
	close(fds[0]);
	close(fds[1]);
}

/* It has none of our open descriptors, whatever their flags. */
static void test_inherits_nothing(void **state)
{
	struct user *u = *state;
	int fds[40];

	if (geteuid())
		skip();
	for (int i = 0; i < 40; i++)
		fds[i] = dup(STDERR_FILENO);
	start(u);
	/* It may be reading resolv.conf. */
	for (int i = 0; i < 100 && count_fds(child_of(getpid())) != 4; i++)
		usleep(10000);
	assert_int_equal(count_fds(child_of(getpid())), 4);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
}

/* More ports of the guest than it has descriptors: the rest is dropped, without errors. */
static void test_udp_ports(void **state)
{
	struct user *u = *state;
	unsigned long before;
	pid_t pid;

	start(u);
	pid = child_of(getpid());
	for (unsigned int i = 0; i < 1300; i++) {
		send_udp(u, 2000 + i, 0);
		if (i % 50 == 49)
			ask(u);
	}
	if (!geteuid())
		assert_in_range(count_fds(pid), 100, USER_NET_FILES);
	before = ticks(pid);
	usleep(1000000);
	assert_in_range(ticks(pid) - before, 0, sysconf(_SC_CLK_TCK) / 5);
	ask(u);
}

/* Clients of a forwarded port that cannot be accepted wait, and do not make it spin. */
static void test_tcp_clients(void **state)
{
	struct user *u = *state;
	struct sockaddr_in sa = { .sin_family = AF_INET };
	unsigned long before;
	int clients[40];
	pid_t pid;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	close(listen_on(&sa.sin_port));
	forward(u, sa.sin_port);
	sa.sin_port = htons(sa.sin_port);
	start(u);
	pid = child_of(getpid());
	for (unsigned int i = 0; i < 1300; i++)
		send_udp(u, 2000 + i, 0);
	ask(u);
	for (int i = 0; i < 40; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(clients[i], (struct sockaddr *)&sa, sizeof(sa)))
			assert_int_equal(errno, EINPROGRESS);
	}
	usleep(200000);
	before = ticks(pid);
	usleep(1500000);
	assert_in_range(ticks(pid) - before, 0, sysconf(_SC_CLK_TCK) / 5);
	ask(u);
	for (int i = 0; i < 40; i++)
		close(clients[i]);
}

static void make_fragment(uint8_t frame[34], bool more, uint16_t offset)
{
	memset(frame, 0, 34);
	frame[12] = 8;
	frame[14] = 0x45;
	frame[20] = (more ? 0x20 : 0) | offset >> 8;
	frame[21] = offset;
}

static void test_fragment_limit(void **state)
{
	struct fragment_limit limit = { 0 };
	const uint64_t second = 1000000000;
	uint64_t now = 5000 * second;
	uint8_t frame[34], whole[34];
	unsigned int n;

	make_fragment(whole, false, 0);
	whole[20] = 0x40; /* "don't fragment": not a fragment */
	make_fragment(frame, true, 0);
	for (n = 0; user_fragment_ok(&limit, frame, sizeof(frame), now); n++)
		assert_true(n < 10000);
	assert_int_equal(n, 409); /* 8 MiB, each counted as 20 KiB */
	make_fragment(frame, false, 7);
	assert_false(user_fragment_ok(&limit, frame, sizeof(frame), now));
	assert_true(user_fragment_ok(&limit, whole, sizeof(whole), now));
	/* 1 MiB a second from then on, however often it is asked. */
	n = 0;
	for (unsigned int i = 0; i < 100000; i++, now += second / 50000)
		n += user_fragment_ok(&limit, frame, sizeof(frame), now);
	assert_in_range(n, 100, 102);
	/* Unused tokens do not accumulate. */
	now += 1000000 * second;
	for (n = 0; user_fragment_ok(&limit, frame, sizeof(frame), now); n++)
		assert_true(n < 10000);
	assert_int_equal(n, 409);
	/* Too short to tell. */
	assert_true(user_fragment_ok(&limit, frame, 33, now));
}

static unsigned long resident_kib(pid_t pid)
{
	unsigned long size, resident;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &size, &resident), 2);
	fclose(f);
	return resident * 4;
}

static void test_fragments(void **state)
{
	struct user *u = *state;

	start(u);
	for (unsigned int i = 0; i < 60000; i++) {
		send_udp(u, i, 0x2000);
		if (i % 500 == 499)
			ask(u);
	}
	assert_in_range(resident_kib(child_of(getpid())), 100, 60 << 10);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest alone[] = {
		TEST(test_port_in_use),
		TEST(test_killed_at_its_start),
		cmocka_unit_test(test_fragment_limit),
	};
	/* These load libslirp in the process, for which a sanitizer leaves no memory. */
	const struct CMUnitTest whole[] = {
		TEST(test_answers),
		TEST(test_checksums),
		TEST(test_without_the_filter),
		TEST(test_killed),
		TEST(test_signals),
		TEST(test_stopped),
		TEST(test_parent_killed),
		TEST(test_inherits_nothing),
		TEST(test_udp_ports),
		TEST(test_tcp_clients),
		TEST(test_fragments),
	};
	int failed = cmocka_run_group_tests(alone, NULL, NULL);

	return UNDER_SANITIZER ? failed : failed + cmocka_run_group_tests(whole, NULL, NULL);
}
