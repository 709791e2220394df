/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_HOST_TRIM_H
#define VMM_HOST_TRIM_H

/*
 * trim_memory - at the end of a process's start: unmap the pages of programs and libraries
 * that were needed for it, and give back what malloc() has free.  What is used again comes
 * from the page cache, with a fault for each 64 KiB.
 */
void trim_memory(void);

#endif
