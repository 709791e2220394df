/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sanitizer's run-time library makes system calls of its own, so a process that has it
 * cannot be confined: what needs that is skipped or done without.
 */
#ifndef TESTS_UNIT_SANITIZER_H
#define TESTS_UNIT_SANITIZER_H

#ifdef __has_feature
#define SANITIZED_BY(which) __has_feature(which)
#else
#define SANITIZED_BY(which) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                             \
	SANITIZED_BY(address_sanitizer) || SANITIZED_BY(thread_sanitizer)
#define UNDER_SANITIZER 1
#else
#define UNDER_SANITIZER 0
#endif

#endif
