// SPDX-License-Identifier: BSD-2-Clause
/*
 * vsock: the two directions of a connection end on their own, no end overtakes the data before
 * it, and nothing keeps its place for ever.  The test is the guest's driver, the device's
 * thread, and the programs on the host.
 */
#include "guest.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/poll_set.h"
#include "virtio/vsock.h"

#define RX	   0
#define TX	   1
#define GUEST_CID  3
#define GUEST_PORT 1234
#define HOST_PORT  1
#define BUFS	   8
#define BUF_SIZE   4096
#define TX_GPA	   0x30000ull

static struct guest *g;
static struct ring rx, tx;
static uint16_t rx_heads[BUFS];
static unsigned int rx_next;
static char path[64];
static int listener;

static void offer_rx(unsigned int i)
{
	ring_begin(&rx);
	ring_in(&rx, DATA_GPA + i * BUF_SIZE, BUF_SIZE);
	rx_heads[i] = ring_offer(&rx);
}

static int listen_at(const char *at)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, at);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int setup(void **state)
{
	struct err err = { 0 };
	char port[80];

	assert_int_equal(guest_setup(state), 0);
	g = *state;
	snprintf(path, sizeof(path), "%s/vs", g->dir);
	snprintf(port, sizeof(port), "%s_%d", path, HOST_PORT);
	if (virtio_vsock_create(&g->board, GUEST_CID, path, &err))
		fail_msg("%s", err.msg);
	listener = listen_at(port);
	guest_find(g, VIRTIO_ID_VSOCK);
	guest_negotiate(g, 0);
	guest_ring(g, &rx, RX, 16);
	guest_ring(g, &tx, TX, 16);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	rx_next = 0;
	return 0;
}

static int teardown(void **state)
{
	char port[80];

	snprintf(port, sizeof(port), "%s_%d", path, HOST_PORT);
	unlink(port);
	close(listener);
	return guest_teardown(state);
}

static void offer_all(void)
{
	for (unsigned int i = 0; i < BUFS; i++)
		offer_rx(i);
	guest_kick(g, RX);
}

/* A turn of the device's thread; it waits @ms at most.  What it would have waited. */
static int turn(int ms)
{
	struct poll_set set = { .timeout_ms = -1 };
	int wanted;

	pthread_mutex_lock(&g->dev->lock);
	g->dev->ops->poll_fill(g->dev, &set);
	pthread_mutex_unlock(&g->dev->lock);
	wanted = set.timeout_ms;
	poll(set.fds, set.nr, wanted >= 0 && wanted < ms ? wanted : ms);
	pthread_mutex_lock(&g->dev->lock);
	g->dev->ops->poll_done(g->dev, &set);
	pthread_mutex_unlock(&g->dev->lock);
	free(set.fds);
	return wanted;
}

/* The guest sends a packet. */
static void guest_sends(uint32_t host_port, uint16_t op, uint32_t flags, const void *data,
			uint32_t len)
{
	struct virtio_vsock_hdr hdr = {
		.src_cid = GUEST_CID,
		.dst_cid = 2,
		.src_port = GUEST_PORT,
		.dst_port = host_port,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = flags,
		.buf_alloc = 262144,
	};
	uint16_t head;

	memcpy(guest_ptr(g, TX_GPA), &hdr, sizeof(hdr));
	if (len)
		memcpy(guest_ptr(g, TX_GPA + sizeof(hdr)), data, len);
	ring_begin(&tx);
	ring_out(&tx, TX_GPA, sizeof(hdr) + len);
	head = ring_offer(&tx);
	guest_kick(g, TX);
	ring_take(&tx, head);
}

/* The next packet for the guest; its payload in @data. */
static struct virtio_vsock_hdr guest_gets(char *data, size_t size)
{
	struct virtio_vsock_hdr hdr;
	unsigned int i = rx_next++ % BUFS;
	uint32_t len = ring_take(&rx, rx_heads[i]);

	assert_true(len >= sizeof(hdr));
	memcpy(&hdr, guest_ptr(g, DATA_GPA + i * BUF_SIZE), sizeof(hdr));
	assert_int_equal(len, sizeof(hdr) + hdr.len);
	if (data && hdr.len) {
		assert_true(hdr.len < size);
		memcpy(data, guest_ptr(g, DATA_GPA + i * BUF_SIZE + sizeof(hdr)), hdr.len);
		data[hdr.len] = '\0';
	}
	offer_rx(i);
	guest_kick(g, RX);
	return hdr;
}

static void gets_op(uint16_t op, uint32_t flags)
{
	struct virtio_vsock_hdr hdr = guest_gets(NULL, 0);

	assert_int_equal(hdr.op, op);
	if (op == VIRTIO_VSOCK_OP_SHUTDOWN)
		assert_int_equal(hdr.flags, flags);
}

/* The guest connects to a program of the host's; its end. */
static int guest_connects(void)
{
	int fd;

	guest_sends(HOST_PORT, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	gets_op(VIRTIO_VSOCK_OP_RESPONSE, 0);
	return fd;
}

static int host_connects(const char *line)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (*line)
		assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	turn(1000);
	turn(*line ? 1000 : 0);
	return fd;
}

static void host_reads(int fd, const char *wanted)
{
	char buf[64] = "";
	size_t len = strlen(wanted);

	assert_int_equal(recv(fd, buf, len ? len : 1, MSG_DONTWAIT), len);
	assert_string_equal(buf, wanted);
}

/* The request and response pattern: the host half-closes, and gets an answer. */
static void test_host_half_closes(void **state)
{
	char data[64] = "";
	int fd;

	offer_all();
	fd = guest_connects();
	assert_int_equal(write(fd, "request", 7), 7);
	shutdown(fd, SHUT_WR);
	turn(1000);
	assert_int_equal(guest_gets(data, sizeof(data)).op, VIRTIO_VSOCK_OP_RW);
	assert_string_equal(data, "request");
	turn(1000);
	gets_op(VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	turn(0);
	turn(0);
	guest_sends(HOST_PORT, VIRTIO_VSOCK_OP_RW, 0, "answer", 6);
	host_reads(fd, "answer");
	guest_sends(HOST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN, 3, NULL, 0);
	gets_op(VIRTIO_VSOCK_OP_RST, 0);
	host_reads(fd, "");
	close(fd);
}

static void test_guest_half_closes(void **state)
{
	char data[64] = "";
	int fd;

	offer_all();
	fd = guest_connects();
	guest_sends(HOST_PORT, VIRTIO_VSOCK_OP_RW, 0, "request", 7);
	guest_sends(HOST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND, NULL, 0);
	host_reads(fd, "request");
	host_reads(fd, "");
	assert_int_equal(write(fd, "answer", 6), 6);
	close(fd);
	turn(1000);
	assert_int_equal(guest_gets(data, sizeof(data)).op, VIRTIO_VSOCK_OP_RW);
	assert_string_equal(data, "answer");
	turn(1000);
	gets_op(VIRTIO_VSOCK_OP_SHUTDOWN, 3);
	gets_op(VIRTIO_VSOCK_OP_RST, 0);
}

static char bulk[4000];

/* More than fits into the socket's buffer: the rest is with us.  How much it was. */
static size_t guest_sends_much(void)
{
	struct vsock *vs = (struct vsock *)g->dev;
	size_t sent = 0;

	memset(bulk, 'x', sizeof(bulk));
	for (int i = 0; i < 200; i++) {
		if (vs->conns[0].out_len - vs->conns[0].out_pos > VSOCK_BUF - sizeof(bulk))
			break;
		guest_sends(HOST_PORT, VIRTIO_VSOCK_OP_RW, 0, bulk, sizeof(bulk));
		sent += sizeof(bulk);
	}
	assert_true(sent > VSOCK_BUF);
	return sent;
}

/* All of @wanted bytes, and then a clean end. */
static void host_takes_all(int fd, size_t wanted)
{
	size_t got = 0;

	for (;;) {
		ssize_t n = recv(fd, bulk, sizeof(bulk), MSG_DONTWAIT);

		if (n < 0)
			assert_int_equal(errno, EAGAIN);
		if (!n)
			break;
		got += n > 0 ? n : 0;
		turn(0);
	}
	assert_int_equal(got, wanted);
	close(fd);
}

/* All that it had credit for is delivered, though the guest has reset the connection. */
static void test_data_before_reset(void **state)
{
	size_t sent;
	int fd;

	offer_all();
	fd = guest_connects();
	sent = guest_sends_much();
	guest_sends(HOST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN, 3, NULL, 0);
	guest_sends(HOST_PORT, VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
	host_takes_all(fd, sent);
}

/* The guest reboots, or ends. */
static void test_data_before_driver_leaves(void **state)
{
	struct vsock *vs = (struct vsock *)g->dev;
	size_t sent;
	int fd;

	offer_all();
	fd = guest_connects();
	sent = guest_sends_much();
	guest_negotiate(g, 0); /* which begins with a reset */
	assert_true(vsock_conn_any(vs));
	host_takes_all(fd, sent);
	assert_false(vsock_conn_any(vs));
}

static void wait_out(int ms)
{
	for (int left = ms; left > 0; left -= 100)
		turn(100);
}

static void test_no_answer(void **state)
{
	struct vsock *vs = (struct vsock *)g->dev;
	int fd;

	offer_all();
	fd = host_connects("CONNECT 22\n");
	gets_op(VIRTIO_VSOCK_OP_REQUEST, 0);
	assert_int_equal(vs->conns[0].state, VSOCK_REQUESTED);
	assert_true(turn(0) > 0); /* it will look again by itself */
	wait_out(2500);
	assert_int_equal(vs->conns[0].state, VSOCK_FREE);
	host_reads(fd, "");
	gets_op(VIRTIO_VSOCK_OP_RST, 0);
	close(fd);
}

static void test_no_connect_line(void **state)
{
	struct vsock *vs = (struct vsock *)g->dev;
	int fd;

	offer_all();
	fd = host_connects("");
	assert_int_equal(vs->conns[0].state, VSOCK_ASKING);
	wait_out(5500);
	assert_int_equal(vs->conns[0].state, VSOCK_FREE);
	host_reads(fd, "");
	close(fd);
}

/* Without a receive buffer a reset waits, and comes with the first one. */
static void test_owed_reset(void **state)
{
	guest_sends(77, VIRTIO_VSOCK_OP_RW, 0, "?", 1);
	guest_sends(78, VIRTIO_VSOCK_OP_RW, 0, "?", 1);
	offer_all();
	turn(0);
	assert_int_equal(guest_gets(NULL, 0).src_port, 77);
	assert_int_equal(guest_gets(NULL, 0).src_port, 78);
}

static void test_live_path(void **state)
{
	struct err err = { 0 };

	assert_int_equal(virtio_vsock_create(&g->board, 4, path, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, "--vsock path="));
}

int main(void)
{
#define VSOCK(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		VSOCK(test_host_half_closes),  VSOCK(test_guest_half_closes),
		VSOCK(test_data_before_reset), VSOCK(test_data_before_driver_leaves),
		VSOCK(test_no_answer),	       VSOCK(test_no_connect_line),
		VSOCK(test_owed_reset),	       VSOCK(test_live_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
