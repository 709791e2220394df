// SPDX-License-Identifier: BSD-2-Clause
/* See packed.h. */
#include "packed.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

uint8_t packed[PACKED_MAX];

static size_t pack_xz(const void *data, size_t size)
{
	lzma_stream s = LZMA_STREAM_INIT;

	assert_int_equal(lzma_easy_encoder(&s, 0, LZMA_CHECK_CRC32), LZMA_OK);
	s.next_in = data;
	s.avail_in = size;
	s.next_out = packed;
	s.avail_out = sizeof(packed);
	assert_int_equal(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
	lzma_end(&s);
	return sizeof(packed) - s.avail_out;
}

/* With a checksum, as zstd(1) writes it. */
static size_t pack_zst(const void *data, size_t size)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t n;

	assert_non_null(ctx);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(ctx, packed, sizeof(packed), data, size);
	ZSTD_freeCCtx(ctx);
	assert_false(ZSTD_isError(n));
	return n;
}

static size_t pack_gz(const void *data, size_t size)
{
	z_stream s = { 0 };

	assert_int_equal(deflateInit2(&s, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	s.next_in = (Bytef *)data;
	s.avail_in = size;
	s.next_out = packed;
	s.avail_out = sizeof(packed);
	assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
	deflateEnd(&s);
	return sizeof(packed) - s.avail_out;
}

const struct form forms[NR_FORMS] = {
	{ ".ko.xz", "xz", pack_xz },
	{ ".ko.zst", "zstd", pack_zst },
	{ ".ko.gz", "gzip", pack_gz },
};
