/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of newer kernels on older ones, so that the modules are written for the newest.  What
 * depends on the kernel's version is here; what only symswap uses is in symswap/kernel.h.
 */
#ifndef SYMKIT_COMPAT_H
#define SYMKIT_COMPAT_H

#include <linux/version.h>
#include <asm/unwind_hints.h>

/* 6.4 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define UNWIND_HINT_END_OF_STACK UNWIND_HINT_EMPTY
#endif

#ifndef __ASSEMBLY__
#include <linux/mm.h>
#include <linux/workqueue.h>
#include <asm/msr.h>
#include <asm/processor.h>

/* 6.9 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
#include <linux/vmcore_info.h>
#else
#include <linux/crash_core.h>
#endif

/* 6.16 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#include <asm/cpuid/api.h>
#else
#define cpuid_base_hypervisor hypervisor_cpuid_base
#define rdmsrq		      rdmsrl
#define rdmsrq_safe	      rdmsrl_safe
#define wrmsrq_safe	      wrmsrl_safe
#endif

/* 6.18 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define system_dfl_wq system_unbound_wq
#endif

/* 7.0: shmem_file_setup() has flags of another type. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
#define SYM_SHMEM_NORESERVE mk_vma_flags(VMA_NORESERVE_BIT)
#else
#define SYM_SHMEM_NORESERVE VM_NORESERVE
#endif
#endif

#endif
