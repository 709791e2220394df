// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames over a stream socket: see frames.h.
 */
#include "net/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Space before the first frame, so that a header of NET_HDR_LEN bytes fits in front of it. */
#define HEADROOM (NET_HDR_LEN - FRAME_LEN_SIZE)
#define READ_BUF (80u << 10)

_Static_assert(READ_BUF > HEADROOM + FRAME_LEN_SIZE + FRAME_MAX, "every frame must fit");

int frame_reader_init(struct frame_reader *r)
{
	*r = (struct frame_reader){ .buf = malloc(READ_BUF), .start = HEADROOM, .end = HEADROOM };
	return r->buf ? 0 : -ENOMEM;
}

void frame_reader_free(struct frame_reader *r)
{
	free(r->buf);
	r->buf = NULL;
}

int frame_writer_init(struct frame_writer *w, size_t size)
{
	*w = (struct frame_writer){ .buf = malloc(size), .size = size };
	return w->buf ? 0 : -ENOMEM;
}

void frame_writer_free(struct frame_writer *w)
{
	free(w->buf);
	w->buf = NULL;
}

/* The length that the peer announced; FRAME_LEN_SIZE bytes must have been received. */
static size_t announced(const struct frame_reader *r)
{
	const uint8_t *p = r->buf + r->start;

	return (size_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

ssize_t frame_reader_fill(struct frame_reader *r, int fd)
{
	ssize_t n;

	if (r->start != HEADROOM) { /* part of a frame, if anything */
		memmove(r->buf + HEADROOM, r->buf + r->start, r->end - r->start);
		r->end -= r->start - HEADROOM;
		r->start = HEADROOM;
	}
	n = recv(fd, r->buf + r->end, READ_BUF - r->end, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? -EAGAIN : -errno;
	r->end += n;
	return n;
}

bool frame_reader_full(const struct frame_reader *r)
{
	return r->end == READ_BUF;
}

ssize_t frame_reader_next(struct frame_reader *r, uint8_t **frame)
{
	size_t have = r->end - r->start;

	/* Once a frame is current, its length may be overwritten by the caller's header. */
	if (!r->len) {
		size_t len;

		if (have < FRAME_LEN_SIZE)
			return 0;
		len = announced(r);
		if (!len || len > FRAME_MAX)
			return -EPROTO;
		if (have - FRAME_LEN_SIZE < len)
			return 0;
		r->len = len;
	}
	*frame = r->buf + r->start + FRAME_LEN_SIZE;
	return r->len;
}

void frame_reader_drop(struct frame_reader *r)
{
	if (r->len)
		r->start += FRAME_LEN_SIZE + r->len;
	r->len = 0;
}

bool frame_reader_pending(const struct frame_reader *r)
{
	size_t have = r->end - r->start;

	if (r->len)
		return true;
	if (have < FRAME_LEN_SIZE)
		return false;
	return announced(r) > FRAME_MAX || have - FRAME_LEN_SIZE >= announced(r);
}

size_t frame_writer_pending(const struct frame_writer *w)
{
	return w->end - w->start;
}

/*
 * Make room for @len bytes behind the queued ones.  These are moved to the front as soon as
 * they are no more than the bytes already sent, so that only the pages of pending data are in
 * use, not the whole buffer.
 */
static bool make_room(struct frame_writer *w, size_t len)
{
	size_t pending = frame_writer_pending(w);

	if (w->size - pending < len)
		return false;
	if (w->start && (w->start >= pending || w->size - w->end < len)) {
		memmove(w->buf, w->buf + w->start, pending);
		w->start = 0;
		w->end = pending;
	}
	return true;
}

bool frame_writer_add(struct frame_writer *w, const struct iovec *iov, unsigned int nr,
		      size_t skip, size_t len)
{
	uint8_t *p;

	if (!len || len > FRAME_MAX || !make_room(w, FRAME_LEN_SIZE + len))
		return false;
	p = w->buf + w->end;
	p[0] = len >> 24;
	p[1] = len >> 16;
	p[2] = len >> 8;
	p[3] = len;
	p += FRAME_LEN_SIZE;
	w->end += FRAME_LEN_SIZE + len;
	for (; nr && len; iov++, nr--) {
		size_t n = iov->iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		n -= skip;
		n = n < len ? n : len;
		memcpy(p, (const uint8_t *)iov->iov_base + skip, n);
		skip = 0;
		p += n;
		len -= n;
	}
	memset(p, 0, len); /* nothing left if the caller's lengths are right */
	return true;
}

int frame_writer_flush(struct frame_writer *w, int fd)
{
	while (w->start < w->end) {
		ssize_t n = send(fd, w->buf + w->start, w->end - w->start,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		w->start += n;
	}
	w->start = w->end = 0;
	return 0;
}
