/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_HOST_TRIM_H
#define VMM_HOST_TRIM_H

/*
 * trim_memory - when a process has started: unmap the pages of programs and libraries that it
 * needed for that, and give back malloc()'s free memory.  Pages used again come from the page
 * cache, with a fault for each 64 KiB.
 */
void trim_memory(void);

#endif
