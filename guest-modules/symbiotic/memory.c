// SPDX-License-Identifier: GPL-2.0
/* Memory and swap figures, updated about once a second while the guest is awake. */
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/timekeeping.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include "symbiotic.h"

/* The size of the swap space is looked up again after this many updates. */
#define SYM_SWAP_EVERY 16

static u64 sym_swap_total;
static int sym_swap_age = SYM_SWAP_EVERY;

/*
 * The kernel exports the amount of free swap space, but not the total; /proc/meminfo has
 * it.  A kernel thread uses the root folder of process 1.
 */
static u64 sym_swap_lookup(void)
{
	unsigned long long kib = 0;
	char text[1024], *line;
	struct file *file;
	loff_t at = 0;
	ssize_t len;

	file = filp_open("/proc/meminfo", O_RDONLY, 0);
	if (IS_ERR(file))
		return 0;
	len = kernel_read(file, text, sizeof(text) - 1, &at);
	filp_close(file, NULL);
	if (len <= 0)
		return 0;
	text[len] = 0;
	line = strstr(text, "SwapTotal:");
	if (!line || sscanf(line, "SwapTotal: %llu kB", &kib) != 1)
		return 0;
	return kib << 10;
}

static u64 sym_pages(long pages)
{
	return pages > 0 ? (u64)pages << PAGE_SHIFT : 0;
}

/* Without the lookup, which only the worker may do. */
void sym_memory_read(struct sym_item_memory *memory)
{
	struct sysinfo info;
	long cached;

	si_meminfo(&info);
	cached = global_node_page_state(NR_FILE_PAGES) - info.bufferram;
#ifdef CONFIG_SWAP
	cached -= global_node_page_state(NR_SWAPCACHE);
	memory->swap_free = sym_pages(get_nr_swap_pages());
#endif
	memory->total = sym_pages(info.totalram);
	memory->free = sym_pages(info.freeram);
	memory->available = sym_pages(si_mem_available());
	memory->cached = sym_pages(cached);
	memory->swap_total = max(sym_swap_total, memory->swap_free);
	memory->uptime_ms = ktime_to_ms(ktime_get_boottime());
}

static void sym_memory_renew(struct work_struct *work);
static DECLARE_DEFERRABLE_WORK(sym_memory_work, sym_memory_renew);

static void sym_memory_renew(struct work_struct *work)
{
	struct sym_item_memory memory = {};

	sym_memory_read(&memory);
	if (++sym_swap_age > SYM_SWAP_EVERY || memory.swap_free > sym_swap_total ||
	    (sym_swap_total && !memory.swap_free)) {
		sym_swap_age = 0;
		sym_swap_total = sym_swap_lookup();
		memory.swap_total = sym_swap_total;
	}
	mutex_lock(&sym_lock);
	sym_spy_memory_locked(&memory);
	mutex_unlock(&sym_lock);
	schedule_delayed_work(&sym_memory_work, HZ);
}

void sym_memory_start(void)
{
	schedule_delayed_work(&sym_memory_work, 0);
}

void sym_memory_stop(void)
{
	cancel_delayed_work_sync(&sym_memory_work);
}
