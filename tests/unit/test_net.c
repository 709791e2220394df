// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network card with a stream socket behind it (net/stream.c, virtio/net.c): what the
 * other side sends and takes, and what the guest sees when it goes away.
 */
#include "guest.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/poll_set.h"
#include "host/events.h"
#include "net/frames.h"

#define RX     0
#define TX     1
#define CONFIG 0x2000 /* of the device, in BAR 0 */
#define STATUS (CONFIG + offsetof(struct virtio_net_config, status))

struct card {
	struct guest *g;
	struct ring rx, tx;
	int listener, peer;
	char path[48];
	char downs[256]; /* reasons of the net_down events */
	struct poll_set set;
};

static void on_event(void *arg, const json_t *event)
{
	struct card *c = arg;
	const json_t *data = json_object_get(event, "data");

	if (strcmp(json_string_value(json_object_get(event, "event")), "net_down"))
		return;
	assert_string_equal(json_string_value(json_object_get(data, "device")), "net0");
	snprintf(c->downs + strlen(c->downs), sizeof(c->downs) - strlen(c->downs), "[%s]",
		 json_string_value(json_object_get(data, "reason")));
}

static int card_setup(void **state)
{
	struct card *c = calloc(1, sizeof(*c));
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct net_config config = { .kind = NET_UNIX, .fd = -1 };
	struct err err = { 0 };

	assert_non_null(c);
	assert_int_equal(guest_setup((void **)&c->g), 0);
	assert_true(events_subscribe(c->g->board.events, 0, on_event, c) >= 0);
	snprintf(c->path, sizeof(c->path), "%s/net", c->g->dir);
	config.path = c->path;
	strcpy(sa.sun_path, c->path);
	c->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(c->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(c->listener, 1), 0);
	if (virtio_net_create(&c->g->board, &config, 0, &err))
		fail_msg("%s", err.msg);
	c->peer = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(c->peer >= 0);
	guest_find(c->g, VIRTIO_ID_NET);
	/* The other side's checksums are its own business: the guest checks them. */
	assert_false(c->g->dev->offered & BIT64(VIRTIO_NET_F_GUEST_CSUM));
	guest_negotiate(c->g, BIT64(VIRTIO_NET_F_STATUS));
	guest_ring(c->g, &c->rx, RX, 8);
	guest_ring(c->g, &c->tx, TX, 8);
	guest_status_add(c->g, VIRTIO_CONFIG_S_DRIVER_OK);
	*state = c;
	return 0;
}

static int card_teardown(void **state)
{
	struct card *c = *state;
	struct guest *g = c->g;

	if (c->peer >= 0)
		close(c->peer);
	close(c->listener);
	unlink(c->path);
	free(c->set.fds);
	free(c);
	return guest_teardown((void **)&g);
}

/* One turn of the card's thread, which must not find nothing to do in it. */
static int turn(struct card *c)
{
	struct virtio_device *dev = c->g->dev;
	int ready;

	c->set.nr = 0;
	c->set.timeout_ms = -1;
	dev->ops->poll_fill(dev, &c->set);
	ready = poll(c->set.fds, c->set.nr, 0);
	dev->ops->poll_done(dev, &c->set);
	return ready || !c->set.timeout_ms;
}

static void peer_sends(struct card *c, const char *text)
{
	uint8_t frame[64] = { 0, 0, 0, strlen(text) };

	memcpy(frame + 4, text, strlen(text));
	assert_int_equal(send(c->peer, frame, 4 + strlen(text), 0), 4 + strlen(text));
}

/* A receive buffer at its own place; its number. */
static uint16_t offer_buffer(struct card *c, unsigned int n)
{
	ring_begin(&c->rx);
	ring_in(&c->rx, DATA_GPA + n * 256, 256);
	return ring_offer(&c->rx);
}

static void received(struct card *c, uint16_t head, unsigned int n, const char *text)
{
	static const uint8_t hdr[10]; /* what follows is the number of buffers */
	const uint8_t *p = guest_ptr(c->g, DATA_GPA + n * 256);

	assert_int_equal(ring_take(&c->rx, head), NET_HDR_LEN + strlen(text));
	assert_memory_equal(p, hdr, sizeof(hdr));
	assert_memory_equal(p + NET_HDR_LEN, text, strlen(text));
}

static void is_up(struct card *c)
{
	events_flush(c->g->board.events);
	assert_string_equal(c->downs, "");
	assert_int_equal(guest_reg(c->g, STATUS, 2), VIRTIO_NET_S_LINK_UP);
}

/* The link went down, once, and nothing is left to wait for. */
static void is_down(struct card *c, const char *reason)
{
	for (int i = 0; i < 3; i++)
		assert_false(turn(c));
	assert_int_equal(c->set.nr, 0);
	events_flush(c->g->board.events);
	if (!strstr(c->downs, reason) || strstr(c->downs, "]["))
		fail_msg("down by \"%s\", not by \"%s\"", c->downs, reason);
	assert_int_equal(guest_reg(c->g, STATUS, 2), 0);
	assert_false(c->g->dev->broken);
}

static void guest_sends(struct card *c, const char *text)
{
	uint8_t *p = guest_ptr(c->g, DATA_GPA + 0x4000);

	memset(p, 0, NET_HDR_LEN);
	memcpy(p + NET_HDR_LEN, text, strlen(text));
	ring_begin(&c->tx);
	ring_out(&c->tx, DATA_GPA + 0x4000, NET_HDR_LEN + strlen(text));
	ring_offer(&c->tx);
	guest_kick(c->g, TX);
}

static void test_frames_in(void **state)
{
	struct card *c = *state;
	uint16_t a = offer_buffer(c, 0), b = offer_buffer(c, 1);

	is_up(c);
	peer_sends(c, "one");
	peer_sends(c, "three");
	assert_true(turn(c));
	assert_false(turn(c));
	received(c, a, 0, "one");
	received(c, b, 1, "three");
	ring_idle(&c->rx);
	is_up(c);
}

static void test_frames_out(void **state)
{
	struct card *c = *state;
	uint8_t got[64];

	guest_sends(c, "hello");
	guest_sends(c, "you");
	turn(c);
	assert_int_equal(recv(c->peer, got, sizeof(got), 0), 16);
	assert_memory_equal(got, "\0\0\0\5hello\0\0\0\3you", 16);
	is_up(c);
}

/* A frame without room is kept, nothing more is read, and nobody spins meanwhile. */
static void test_no_room(void **state)
{
	struct card *c = *state;
	uint16_t a, b;

	peer_sends(c, "first");
	peer_sends(c, "second");
	assert_true(turn(c));
	for (int i = 0; i < 3; i++) {
		peer_sends(c, "more");
		assert_false(turn(c));
	}
	a = offer_buffer(c, 0);
	guest_kick(c->g, RX);
	received(c, a, 0, "first");
	ring_idle(&c->rx);
	assert_false(turn(c));
	b = offer_buffer(c, 1);
	guest_kick(c->g, RX);
	received(c, b, 1, "second");
	is_up(c);
}

/* However much there is, a turn ends; and the next one comes without anybody's help. */
static void test_budget(void **state)
{
	struct card *c = *state;
	static uint8_t frames[500][5];

	for (int i = 0; i < 500; i++)
		frames[i][3] = 1;
	assert_int_equal(send(c->peer, frames, sizeof(frames), 0), sizeof(frames));
	offer_buffer(c, 0);
	c->g->dev->queues[RX].live = false; /* frames are dropped as fast as they come */
	assert_true(turn(c));
	for (int i = 0; i < 6; i++) {
		assert_true(turn(c));
		assert_int_equal(c->set.timeout_ms, 0);
	}
	while (turn(c))
		continue;
	is_up(c);
}

/* A peer that takes nothing costs frames, not memory, and is waited for. */
static void test_peer_takes_nothing(void **state)
{
	struct card *c = *state;
	static char text[1500];
	uint8_t buf[65536];
	unsigned int frames = 0;
	ssize_t n;

	memset(text, 'y', sizeof(text) - 1);
	for (int i = 0; i < 2000; i++)
		guest_sends(c, text);
	assert_false(turn(c));
	assert_int_equal(c->set.fds[0].events, POLLIN | POLLOUT);
	do {
		turn(c);
		n = recv(c->peer, buf, 4, MSG_WAITALL);
		if (n == 4) {
			assert_memory_equal(buf, "\0\0\5\xdb", 4);
			assert_int_equal(recv(c->peer, buf, 1499, MSG_WAITALL), 1499);
			frames++;
		}
	} while (n > 0);
	assert_in_range(frames, 100, 1000);
	is_up(c);
}

static void test_peer_leaves(void **state)
{
	struct card *c = *state;
	uint16_t a = offer_buffer(c, 0);

	peer_sends(c, "last");
	close(c->peer);
	c->peer = -1;
	turn(c);
	turn(c);
	received(c, a, 0, "last");
	is_down(c, "net closed the connection");
	guest_sends(c, "nobody"); /* is taken and dropped */
	assert_int_equal(c->tx.used->idx, 1);
	guest_kick(c->g, RX);
	is_down(c, "net closed the connection");
	/* A driver that starts anew finds it so. */
	guest_negotiate(c->g, BIT64(VIRTIO_NET_F_STATUS));
	assert_int_equal(guest_reg(c->g, STATUS, 2), 0);
}

/* It is noticed although frames wait that the guest has no room for. */
static void test_peer_leaves_while_held(void **state)
{
	struct card *c = *state;

	peer_sends(c, "held");
	assert_true(turn(c));
	close(c->peer);
	c->peer = -1;
	assert_true(turn(c));
	is_down(c, "closed the connection");
	offer_buffer(c, 0);
	guest_kick(c->g, RX);
	ring_idle(&c->rx);
}

static void test_peer_leaves_before_the_driver(void **state)
{
	struct card *c = *state;

	guest_reg_write(c->g, COMMON(device_status), 1, 0);
	c->g->vector = 0;
	close(c->peer);
	c->peer = -1;
	turn(c);
	is_down(c, "closed the connection");
	assert_int_equal(c->g->signals, 0);
}

static void test_send_finds_it_gone(void **state)
{
	struct card *c = *state;

	close(c->peer);
	c->peer = -1;
	guest_sends(c, "x");
	c->set.nr = 0;
	c->g->dev->ops->poll_fill(c->g->dev, &c->set);
	assert_int_equal(c->set.nr, 0);
	is_down(c, "closed the connection");
}

static void test_wrong_length(void **state)
{
	struct card *c = *state;

	c->g->vector = 9;
	assert_int_equal(send(c->peer, "\0\1\1\1", 4, 0), 4);
	turn(c);
	is_down(c, "impossible length");
	assert_int_equal(c->g->signals, 1);
	assert_int_equal(c->g->vector, 0); /* the configuration vector */
}

static void test_nobody_there(void **state)
{
	struct guest *g = *state;
	struct net_config config = { .kind = NET_UNIX, .fd = -1 };
	char path[48], want[128];
	struct err err = { 0 };

	snprintf(path, sizeof(path), "%s/none", g->dir);
	config.path = path;
	assert_int_equal(virtio_net_create(&g->board, &config, 0, &err), -ENOENT);
	snprintf(want, sizeof(want), "--net unix=%s: No such file or directory", path);
	assert_string_equal(err.msg, want);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, card_setup, card_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_frames_in),
		TEST(test_frames_out),
		TEST(test_no_room),
		TEST(test_budget),
		TEST(test_peer_takes_nothing),
		TEST(test_peer_leaves),
		TEST(test_peer_leaves_while_held),
		TEST(test_peer_leaves_before_the_driver),
		TEST(test_send_finds_it_gone),
		TEST(test_wrong_length),
		cmocka_unit_test_setup_teardown(test_nobody_there, guest_setup, guest_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
