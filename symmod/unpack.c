// SPDX-License-Identifier: BSD-2-Clause
/*
 * Decompressing a module.  The result goes into one buffer of the maximum size that a module
 * may have: whatever the file claims, it cannot get more.
 */
#include "unpack.h"

#include <errno.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* One byte more than a module may have, to detect one that is too large. */
#define ROOM (SYM_MOD_MAX + 1)
/* xz needs its dictionary in memory; that of "xz -9" has 64 MiB. */
#define XZ_MEMORY (128u << 20)
#define GZIP_ONLY (16 + MAX_WBITS) /* of inflateInit2(): with gzip's header, not zlib's */

/*
 * Each decoder takes all of @in at once.  Returns 0 and sets *@out_size, at most ROOM, or
 * -ENODATA (truncated), -EBADMSG (damaged, or trailing data), -EFBIG, -ENOMEM.
 */
static int unpack_xz(const struct symmod_image *in, void *out, size_t *out_size)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret ret = lzma_stream_decoder(&s, XZ_MEMORY, 0);

	s.next_in = in->data;
	s.avail_in = in->size;
	s.next_out = out;
	s.avail_out = ROOM;
	while (ret == LZMA_OK)
		ret = lzma_code(&s, LZMA_FINISH);
	lzma_end(&s);
	*out_size = ROOM - s.avail_out;
	switch (ret) {
	case LZMA_STREAM_END:
		return s.avail_in ? -EBADMSG : 0;
	case LZMA_BUF_ERROR: /* no progress: the end of input or of output? */
		return s.avail_out ? -ENODATA : -EFBIG;
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

/* A truncated frame gives different errors, depending on what is missing. */
static bool zst_truncated(const struct symmod_image *in)
{
	size_t n;

	for (size_t at = 0; at < in->size; at += n) {
		n = ZSTD_findFrameCompressedSize((const char *)in->data + at, in->size - at);
		if (ZSTD_isError(n))
			return ZSTD_getErrorCode(n) == ZSTD_error_srcSize_wrong;
	}
	return false;
}

static int unpack_zst(const struct symmod_image *in, void *out, size_t *out_size)
{
	*out_size = ZSTD_decompress(out, ROOM, in->data, in->size);
	if (!ZSTD_isError(*out_size))
		return 0;
	switch (ZSTD_getErrorCode(*out_size)) {
	case ZSTD_error_dstSize_tooSmall:
		return -EFBIG;
	case ZSTD_error_memory_allocation:
		return -ENOMEM;
	default:
		return zst_truncated(in) ? -ENODATA : -EBADMSG;
	}
}

static int unpack_gz(const struct symmod_image *in, void *out, size_t *out_size)
{
	z_stream s = { .next_in = in->data, .avail_in = in->size };
	int ret = inflateInit2(&s, GZIP_ONLY);

	s.next_out = out;
	s.avail_out = ROOM;
	if (ret == Z_OK)
		ret = inflate(&s, Z_FINISH);
	inflateEnd(&s);
	*out_size = ROOM - s.avail_out;
	switch (ret) {
	case Z_STREAM_END:
		return s.avail_in ? -EBADMSG : 0;
	case Z_OK:
	case Z_BUF_ERROR:
		return s.avail_out ? -ENODATA : -EFBIG;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

static const struct format {
	const char *name;
	size_t len;
	uint8_t magic[6];
	int (*unpack)(const struct symmod_image *in, void *out, size_t *out_size);
} formats[] = {
	{ "xz", 6, { 0xfd, '7', 'z', 'X', 'Z', 0 }, unpack_xz },
	{ "zstd", 4, { 0x28, 0xb5, 0x2f, 0xfd }, unpack_zst },
	{ "gzip", 3, { 0x1f, 0x8b, 8 }, unpack_gz }, /* 8: deflate, the only method */
};

static const struct format *format_of(const struct symmod_image *image)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (image->size >= formats[i].len &&
		    !memcmp(image->data, formats[i].magic, formats[i].len))
			return &formats[i];
	return NULL;
}

static int failed(const char *file, const struct format *format, int code, struct sym_err *err)
{
	switch (code) {
	case -ENODATA:
		return sym_fail(err, -ENOEXEC, "%s: truncated %s data", file, format->name);
	case -EFBIG:
		return sym_fail(err, code, "%s: larger than %u MiB when decompressed", file,
				SYM_MOD_MAX >> 20);
	case -ENOMEM:
		return sym_fail(err, code, "%s: decompressing it needs too much memory", file);
	default:
		return sym_fail(err, -ENOEXEC, "%s: damaged %s data", file, format->name);
	}
}

int symmod_unpack(const char *file, struct symmod_image *image, struct sym_err *err)
{
	const struct format *format = format_of(image);
	void *out, *shrunk;
	size_t size;
	int ret;

	if (!format)
		return 0;
	out = malloc(ROOM);
	ret = out ? format->unpack(image, out, &size) : -ENOMEM;
	if (!ret && size > SYM_MOD_MAX)
		ret = -EFBIG;
	if (ret) {
		free(out);
		return failed(file, format, ret, err);
	}
	free(image->data);
	shrunk = realloc(out, size + !size);
	if (shrunk)
		out = shrunk;
	image->data = out;
	image->size = size;
	return 0;
}
