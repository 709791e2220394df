// SPDX-License-Identifier: BSD-2-Clause
/* The serial port and its console: input before a driver listens must not be lost. */
#include "guest.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/loop.h"
#include "devices/serial.h"
#include "host/console_port.h"

enum { DATA, IER, FCR, LCR, MCR, LSR };

#define FCR_ENABLE_CLEAR 0x07
#define LSR_DR		 0x01

static struct board *board;
static struct serial *serial;
static const char script[] = "echo one line that is longer than the sixty-four bytes of a FIFO, "
			     "and then some more\n";

static void on_quit(void *arg)
{
}

static int setup(void **state)
{
	struct err err = { 0 };
	char path[64];
	struct guest *g;

	assert_int_equal(guest_setup(state), 0);
	g = *state;
	board = &g->board;
	snprintf(path, sizeof(path), "%s/console", g->dir);
	assert_int_equal(
		console_create(g->loop, "off", 0, path, on_quit, NULL, &board->console, &err), 0);
	assert_int_equal(serial_create(board, &serial, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	serial_destroy(serial);
	console_destroy(board->console);
	serial = NULL;
	board->console = NULL;
	return guest_teardown(state);
}

static uint8_t in(unsigned int reg)
{
	uint8_t v = 0;

	bus_access(&board->pio, PORT_COM1 + reg, &v, 1, false);
	return v;
}

static void out(unsigned int reg, uint8_t v)
{
	bus_access(&board->pio, PORT_COM1 + reg, &v, 1, true);
}

/* What the loop does when it is notified of room. */
static void serve(void)
{
	uint64_t count;

	if (read(board->console->kick_fd, &count, sizeof(count)) > 0)
		console_pump(board->console);
}

static void type(const char *text)
{
	console_push(board->console, (const uint8_t *)text, strlen(text));
	console_pump(board->console);
}

static void read_all(char *buf, size_t size)
{
	size_t len = 0;

	serve();
	while (len < size - 1 && in(LSR)&LSR_DR) {
		buf[len++] = in(DATA);
		serve();
	}
	buf[len] = '\0';
}

/* As Linux opens the port. */
static void open_port(void)
{
	out(FCR, FCR_ENABLE_CLEAR);
	in(LSR);
	in(DATA);
	out(IER, 1);
}

static void test_typed_before_the_driver(void **state)
{
	char buf[256];

	type(script);
	open_port();
	read_all(buf, sizeof(buf));
	assert_string_equal(buf, script);
	type("later\n");
	read_all(buf, sizeof(buf));
	assert_string_equal(buf, "later\n");
}

/* A full FIFO that is cleared, and not read, makes room too. */
static void test_cleared_fifo(void **state)
{
	char buf[256];

	open_port();
	type(script);
	out(FCR, FCR_ENABLE_CLEAR);
	read_all(buf, sizeof(buf));
	assert_string_equal(buf, script + 64);
}

static void test_closed_and_opened(void **state)
{
	char buf[256];

	open_port();
	out(IER, 0);
	type(script);
	open_port();
	read_all(buf, sizeof(buf));
	assert_string_equal(buf, script);
}

/* Boot loaders and debuggers use no interrupt. */
static void test_polling(void **state)
{
	char buf[256];

	type("g");
	for (int i = 0; i < 16; i++)
		assert_int_equal(in(LSR)&LSR_DR, 0);
	serve();
	read_all(buf, sizeof(buf));
	assert_string_equal(buf, "g");
}

static void test_output_is_no_polling(void **state)
{
	type("typed\n");
	for (int i = 0; i < 100; i++) {
		in(LSR);
		out(DATA, '.');
	}
	serve();
	assert_int_equal(in(LSR)&LSR_DR, 0);
}

/* A reset loses the input in the FIFO, but not the input that waits for room. */
static void test_reset(void **state)
{
	char buf[256];

	open_port();
	type(script);
	serial_reset(serial);
	open_port();
	read_all(buf, sizeof(buf));
	assert_string_equal(buf, script + 64);
}

int main(void)
{
#define PORT(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		PORT(test_typed_before_the_driver), PORT(test_cleared_fifo),
		PORT(test_closed_and_opened),	    PORT(test_polling),
		PORT(test_output_is_no_polling),    PORT(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
