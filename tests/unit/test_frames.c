// SPDX-License-Identifier: BSD-2-Clause
/* frames.c: frames over a stream socket, with the stream cut at any place. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/frames.h"

struct wire {
	int ends[2]; /* ours and the other side's */
	struct frame_reader in;
	struct frame_writer out;
};

static int wire_setup(void **state)
{
	struct wire *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, w->ends), 0);
	assert_int_equal(frame_reader_init(&w->in), 0);
	assert_int_equal(frame_writer_init(&w->out, 4096), 0);
	*state = w;
	return 0;
}

static int wire_teardown(void **state)
{
	struct wire *w = *state;

	close(w->ends[0]);
	close(w->ends[1]);
	frame_reader_free(&w->in);
	frame_writer_free(&w->out);
	free(w);
	return 0;
}

/* Data that the other side sends. */
static void feed(struct wire *w, const void *data, size_t len)
{
	assert_int_equal(send(w->ends[1], data, len, 0), len);
}

/* The next frame must hold @text; its header's room is written to, as a card does. */
static void expect_frame(struct wire *w, const char *text)
{
	uint8_t *frame;

	assert_int_equal(frame_reader_next(&w->in, &frame), strlen(text));
	memset(frame - NET_HDR_LEN, 0xee, NET_HDR_LEN);
	assert_memory_equal(frame, text, strlen(text));
	/* It stays until it is dropped. */
	assert_true(frame_reader_pending(&w->in));
	assert_int_equal(frame_reader_next(&w->in, &frame), strlen(text));
	frame_reader_drop(&w->in);
}

static void expect_none(struct wire *w)
{
	uint8_t *frame;

	assert_false(frame_reader_pending(&w->in));
	assert_int_equal(frame_reader_next(&w->in, &frame), 0);
}

static const char three[] = "\0\0\0\1a\0\0\0\3bcd\0\0\0\2ef";

static void test_several_at_once(void **state)
{
	struct wire *w = *state;

	feed(w, three, sizeof(three) - 1);
	assert_int_equal(frame_reader_fill(&w->in, w->ends[0]), sizeof(three) - 1);
	expect_frame(w, "a");
	expect_frame(w, "bcd");
	expect_frame(w, "ef");
	expect_none(w);
	assert_int_equal(frame_reader_fill(&w->in, w->ends[0]), -EAGAIN);
}

/* The stream comes in two pieces, cut at every byte; frames are taken as they are whole. */
static void test_cut_anywhere(void **state)
{
	struct wire *w = *state;
	const char *const texts[] = { "a", "bcd", "ef" };
	const size_t ends[] = { 5, 12, 18 };

	for (size_t cut = 1; cut < sizeof(three) - 1; cut++) {
		unsigned int n = 0;

		feed(w, three, cut);
		assert_int_equal(frame_reader_fill(&w->in, w->ends[0]), cut);
		while (n < 3 && ends[n] <= cut)
			expect_frame(w, texts[n++]);
		expect_none(w);
		feed(w, three + cut, sizeof(three) - 1 - cut);
		assert_true(frame_reader_fill(&w->in, w->ends[0]) > 0);
		while (n < 3)
			expect_frame(w, texts[n++]);
		expect_none(w);
	}
}

static void test_byte_by_byte(void **state)
{
	struct wire *w = *state;

	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < 5; i++) {
			expect_none(w);
			feed(w, three + i, 1);
			assert_int_equal(frame_reader_fill(&w->in, w->ends[0]), 1);
			if (i == 4)
				expect_frame(w, "a");
		}
}

/* The largest frames, which come in many pieces, and small ones between. */
static void test_large_frames(void **state)
{
	struct wire *w = *state;
	static uint8_t stream[12 + FRAME_LEN_SIZE + FRAME_MAX];

	memset(stream, 'x', sizeof(stream));
	memcpy(stream, three, 12);
	stream[12] = 0;
	stream[13] = FRAME_MAX >> 16;
	stream[14] = FRAME_MAX >> 8 & 0xff;
	stream[15] = FRAME_MAX & 0xff;
	for (int i = 0; i < 5; i++) {
		static const size_t sizes[] = { 1, 3, FRAME_MAX };
		unsigned int n = 0;
		size_t sent = 0;

		while (n < 3) {
			uint8_t *frame;
			ssize_t len = frame_reader_next(&w->in, &frame);

			if (len) {
				assert_int_equal(len, sizes[n++]);
				assert_int_equal(frame[len - 1], "adx"[n - 1]);
				memset(frame - NET_HDR_LEN, 0xee, NET_HDR_LEN);
				frame_reader_drop(&w->in);
				continue;
			}
			len = send(w->ends[1], stream + sent, sizeof(stream) - sent,
				   MSG_DONTWAIT);
			sent += len > 0 ? len : 0;
			assert_true(frame_reader_fill(&w->in, w->ends[0]) > 0);
		}
		expect_none(w);
	}
}

static void test_wrong_lengths(void **state)
{
	static const uint32_t lengths[] = { 0,	       FRAME_MAX + 1, 1 << 24,
					    INT32_MAX, 1u << 31,      UINT32_MAX };

	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct wire *w;
		uint32_t be = __builtin_bswap32(lengths[i]);
		uint8_t *frame;

		assert_int_equal(wire_setup((void **)&w), 0);
		feed(w, three, 5);
		feed(w, &be, sizeof(be));
		assert_int_equal(frame_reader_fill(&w->in, w->ends[0]), 9);
		expect_frame(w, "a");
		assert_true(frame_reader_pending(&w->in));
		assert_int_equal(frame_reader_next(&w->in, &frame), -EPROTO);
		assert_int_equal(frame_reader_next(&w->in, &frame), -EPROTO);
		wire_teardown((void **)&w);
	}
}

static void test_end_in_the_middle(void **state)
{
	for (size_t cut = 0; cut < 12; cut++) {
		struct wire *w;

		assert_int_equal(wire_setup((void **)&w), 0);
		feed(w, three, cut);
		shutdown(w->ends[1], SHUT_WR);
		if (cut)
			assert_int_equal(frame_reader_fill(&w->in, w->ends[0]), cut);
		if (cut >= 5)
			expect_frame(w, "a");
		expect_none(w);
		assert_int_equal(frame_reader_fill(&w->in, w->ends[0]), 0);
		wire_teardown((void **)&w);
	}
}

/* Sending */

static void test_written_as_read(void **state)
{
	struct wire *w = *state;
	struct iovec iov[] = { { "12345", 5 }, { NULL, 0 }, { "67b", 3 }, { "cd", 2 } };
	char got[64];

	/* The virtio header is left out, wherever it ends. */
	assert_true(frame_writer_add(&w->out, iov, 4, 7, 3));
	assert_true(frame_writer_add(&w->out, iov, 1, 0, 1));
	assert_int_equal(frame_writer_pending(&w->out), 12);
	assert_int_equal(frame_writer_flush(&w->out, w->ends[0]), 0);
	assert_int_equal(frame_writer_pending(&w->out), 0);
	assert_int_equal(recv(w->ends[1], got, sizeof(got), 0), 12);
	assert_memory_equal(got,
			    "\0\0\0\3bcd\0\0\0\1"
			    "1",
			    12);
}

static void test_no_room(void **state)
{
	struct wire *w = *state;
	static char data[4096];
	struct iovec iov = { data, sizeof(data) };

	assert_true(frame_writer_add(&w->out, &iov, 1, 0, 2000));
	assert_false(frame_writer_add(&w->out, &iov, 1, 0, 2092 - 3));
	assert_int_equal(frame_writer_pending(&w->out), 2004);
	assert_true(frame_writer_add(&w->out, &iov, 1, 0, 2092 - 4));
	assert_false(frame_writer_add(&w->out, &iov, 1, 0, 1));
	assert_false(frame_writer_add(&w->out, &iov, 1, 0, 0));
	assert_int_equal(frame_writer_pending(&w->out), 4096);
}

/* Takes whole frames, in order, from @next on; first those in the buffer, then new ones. */
static unsigned int take(struct wire *w, unsigned int *next, ssize_t *received)
{
	unsigned int taken = 0;
	uint8_t *frame;

	while (frame_reader_next(&w->in, &frame) == 900) {
		unsigned int number;

		memcpy(&number, frame, sizeof(number));
		assert_true(number >= *next);
		assert_int_equal(frame[899], number & 0xff);
		*next = number + 1;
		taken++;
		frame_reader_drop(&w->in);
	}
	*received = frame_reader_fill(&w->in, w->ends[1]);
	return taken;
}

/* A slow reader gets whole frames, but not all of them. */
static void test_slow_reader(void **state)
{
	struct wire *w = *state;
	unsigned int queued = 0, taken = 0, next = 0;
	uint8_t body[900];
	struct iovec iov = { body, sizeof(body) };
	ssize_t received;

	for (unsigned int i = 0; i < 6000; i++) {
		memset(body, i & 0xff, sizeof(body));
		memcpy(body, &i, sizeof(i));
		queued += frame_writer_add(&w->out, &iov, 1, 0, sizeof(body));
		assert_int_equal(frame_writer_flush(&w->out, w->ends[0]), 0);
		if (i % 500 == 499)
			taken += take(w, &next, &received);
	}
	assert_true(queued < 6000);
	do {
		assert_int_equal(frame_writer_flush(&w->out, w->ends[0]), 0);
		taken += take(w, &next, &received);
	} while (received > 0 || frame_reader_pending(&w->in));
	assert_int_equal(taken, queued);
}

static void test_send_to_nobody(void **state)
{
	struct wire *w = *state;
	struct iovec iov = { "x", 1 };

	close(w->ends[1]);
	w->ends[1] = -1;
	assert_true(frame_writer_add(&w->out, &iov, 1, 0, 1));
	assert_int_equal(frame_writer_flush(&w->out, w->ends[0]), -EPIPE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, wire_setup, wire_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_several_at_once),
		TEST(test_cut_anywhere),
		TEST(test_byte_by_byte),
		TEST(test_large_frames),
		cmocka_unit_test(test_wrong_lengths),
		cmocka_unit_test(test_end_in_the_middle),
		TEST(test_written_as_read),
		TEST(test_no_room),
		TEST(test_slow_reader),
		TEST(test_send_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
