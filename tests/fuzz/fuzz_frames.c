// SPDX-License-Identifier: BSD-2-Clause
/*
 * The parser of frames that come over a stream socket (net/frames.c) under libFuzzer,
 * compared with a simple one that sees the whole stream at once.  The first bytes of the
 * input say in what pieces the rest arrives.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/frames.h"

#define CUTS 8

#define check(cond)                                                                              \
	do {                                                                                     \
		if (!(cond)) {                                                                   \
			fprintf(stderr, "failed: %s\n", #cond);                                  \
			abort();                                                                 \
		}                                                                                \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The stream, and how far the simple parser is in it. */
static const uint8_t *stream;
static size_t stream_len, at;

/* What the parser says next must be what is there. */
static void compare(ssize_t len, const uint8_t *frame, size_t sent)
{
	size_t left = sent - at, want;

	if (left < FRAME_LEN_SIZE) {
		check(len == 0);
		return;
	}
	want = (size_t)stream[at] << 24 | stream[at + 1] << 16 | stream[at + 2] << 8 |
	       stream[at + 3];
	if (!want || want > FRAME_MAX) {
		check(len < 0);
	} else if (left - FRAME_LEN_SIZE < want) {
		check(len == 0);
	} else {
		check(len == (ssize_t)want);
		check(!memcmp(frame, stream + at + FRAME_LEN_SIZE, want));
		at += FRAME_LEN_SIZE + want;
	}
}

/* All frames that are whole; false at an error. */
static bool take(struct frame_reader *r, size_t sent)
{
	for (;;) {
		bool pending = frame_reader_pending(r);
		uint8_t *frame = NULL;
		ssize_t len = frame_reader_next(r, &frame);

		check(pending == (len != 0));
		compare(len, frame, sent);
		if (len <= 0)
			return !len;
		memset(frame - NET_HDR_LEN, 0x55, NET_HDR_LEN);
		frame_reader_drop(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_reader r;
	size_t sent = 0, received = 0;
	int ends[2];

	if (size < CUTS)
		return 0;
	stream = data + CUTS;
	stream_len = size - CUTS;
	at = 0;
	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
	check(!frame_reader_init(&r));
	for (unsigned int i = 0; received < stream_len || sent < stream_len; i++) {
		size_t piece = 1 + data[i % CUTS] * (size_t)data[i % CUTS] / 4;
		ssize_t n;

		piece = piece < stream_len - sent ? piece : stream_len - sent;
		n = piece ? send(ends[1], stream + sent, piece, 0) : 0;
		sent += n > 0 ? n : 0;
		n = frame_reader_fill(&r, ends[0]);
		check(n > 0);
		received += n;
		if (!take(&r, received))
			break;
	}
	frame_reader_free(&r);
	close(ends[0]);
	close(ends[1]);
	return 0;
}
