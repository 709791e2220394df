/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ethernet frames over a stream socket, each after its length as a 32-bit big-endian
 * number: the format of QEMU's "-netdev stream" and of passt.  Neither side blocks: the
 * socket must be non-blocking.  No locking here; each object belongs to one thread at a
 * time.
 */
#ifndef VMM_NET_FRAMES_H
#define VMM_NET_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/backend.h"

#define FRAME_LEN_SIZE 4
#define FRAME_MAX      (NET_FRAME_MAX - NET_HDR_LEN) /* bytes of a frame */

/* Data that was received and not consumed yet. */
struct frame_reader {
	uint8_t *buf;
	size_t start, end; /* of the data in @buf */
	size_t len; /* of the current frame, at @start; 0: none yet */
};

/* Data to be sent, at most @size bytes. */
struct frame_writer {
	uint8_t *buf;
	size_t start, end, size;
};

/* frame_*_init - 0 or -ENOMEM; frame_*_free undoes it, also after a failure. */
int frame_reader_init(struct frame_reader *r);
void frame_reader_free(struct frame_reader *r);
int frame_writer_init(struct frame_writer *w, size_t size);
void frame_writer_free(struct frame_writer *w);

/*
 * frame_reader_fill - receive once from @fd; only after frame_reader_next() returned 0.
 * Bytes received, 0 at the end of the stream, -EAGAIN if there is no data now, or another
 * -errno.  frame_reader_full - the last fill may have left data in the socket.
 */
ssize_t frame_reader_fill(struct frame_reader *r, int fd);
bool frame_reader_full(const struct frame_reader *r);

/*
 * frame_reader_next - the current frame, at @frame, until frame_reader_drop(); there are
 * NET_HDR_LEN bytes in front of it which the caller may use.  Returns its length, 0 when
 * more must be received first, or -EPROTO when the peer announced an impossible length.
 */
ssize_t frame_reader_next(struct frame_reader *r, uint8_t **frame);
void frame_reader_drop(struct frame_reader *r);

/* frame_reader_pending - a whole frame, or a bad one, is in the buffer already. */
bool frame_reader_pending(const struct frame_reader *r);

/*
 * frame_writer_add - queue a frame, @len bytes from offset @skip in @iov.  False if there is
 * no room: then none of it is queued.
 */
bool frame_writer_add(struct frame_writer *w, const struct iovec *iov, unsigned int nr,
		      size_t skip, size_t len);

/* frame_writer_flush - send what can be sent now.  0 or -errno; not -EAGAIN. */
int frame_writer_flush(struct frame_writer *w, int fd);

/* frame_writer_pending - bytes that are still to be sent. */
size_t frame_writer_pending(const struct frame_writer *w);

#endif
