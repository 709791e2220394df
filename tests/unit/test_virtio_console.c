// SPDX-License-Identifier: BSD-2-Clause
/* virtio-console: how much of a guest's output is taken in one turn. */
#include "guest.h"

#include <linux/virtio_ids.h>
#include <stdio.h>
#include <string.h>

#include "core/loop.h"
#include "host/console.h"

#define TX 1

static struct ring ring;

static void on_quit(void *arg)
{
}

static int setup(void **state)
{
	struct err err = { 0 };
	struct ring rx;
	char path[64];
	struct guest *g;

	assert_int_equal(guest_setup(state), 0);
	g = *state;
	snprintf(path, sizeof(path), "%s/console", g->dir);
	assert_int_equal(
		console_create(g->loop, "off", 0, path, on_quit, NULL, &g->board.console, &err),
		0);
	assert_int_equal(virtio_console_create(&g->board, &err), 0);
	guest_find(g, VIRTIO_ID_CONSOLE);
	guest_negotiate(g, 0);
	guest_ring(g, &rx, 0, 16);
	guest_ring(g, &ring, TX, 16);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	return 0;
}

static int teardown(void **state)
{
	struct guest *g = *state;

	console_set_input(g->board.console, NULL, NULL);
	console_destroy(g->board.console);
	g->board.console = NULL;
	return guest_teardown(state);
}

/* All of RAM, @times over. */
static uint16_t offer(unsigned int times)
{
	ring_begin(&ring);
	while (times--)
		ring_out(&ring, 0, GUEST_RAM);
	return ring_offer(&ring);
}

static void test_turn_is_bounded(void **state)
{
	uint16_t first = offer(2), second = offer(2), third = offer(2);

	guest_kick(*state, TX); /* a mebibyte */
	assert_int_equal(ring_take(&ring, first), 0);
	assert_int_equal(ring_take(&ring, second), 0);
	ring_idle(&ring);
	guest_kick(*state, TX);
	assert_int_equal(ring_take(&ring, third), 0);
}

static void test_write_too_long(void **state)
{
	offer(4);
	guest_kick(*state, TX);
	ring_take(&ring, 0);
	offer(5);
	guest_kick(*state, TX);
	guest_is_broken(*state, "a write of 1310720 bytes");
	ring_idle(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turn_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_too_long, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
