// SPDX-License-Identifier: BSD-2-Clause
/*
 * Creating and destroying a window; setting its level and limit.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swapbypass/window.h"

static void fill_item(const struct sym_window *w, struct sym_item_window *item)
{
	*item = (struct sym_item_window){
		.gpa = w->gpa,
		.size = w->backing.size,
		.limit = w->limit,
		.level = w->level,
	};
}

/* Under the lock, so that the last change is also the last one shown. */
static void show(struct sym_window *w)
{
	struct sym_item_window item;

	fill_item(w, &item);
	sym_show_window(w->sym, &item);
}

static bool limit_ok(uint64_t limit, uint64_t size)
{
	return limit && limit <= size && limit % PAGE == 0;
}

static int check_config(const struct sym_window_config *c, struct sym_err *err)
{
	if (c->size < sizeof(*c) || c->level > SYM_WINDOW_BYPASS || c->gpa % SYM_WINDOW_ALIGN)
		return sym_fail(err, -EINVAL, "the configuration is not valid");
	if (c->bytes % PAGE || c->bytes < SYM_WINDOW_MIN || c->bytes > SYM_WINDOW_MAX)
		return sym_fail(err, -EINVAL,
				"the size must be a multiple of 4096, from 1M to 1T");
	if (!limit_ok(c->limit, c->bytes))
		return sym_fail(err, -EINVAL,
				"the limit must be a multiple of 4096, at most "
				"the window's size");
	return 0;
}

static int add(struct sym_window *w, struct sym_err *err)
{
	int ret = w->ops->region_add(w->vm, w->gpa, w->backing.size, w->backing.map, 0);

	if (ret)
		return sym_fail(err, ret, "no room for it at guest address 0x%llx: %s",
				(unsigned long long)w->gpa, strerror(-ret));
	w->added = true;
	show(w);
	return 0;
}

int sym_window_create(struct sym *sym, const struct sym_host_ops *ops, void *vm,
		      const struct sym_window_config *config, struct sym_window **out,
		      struct sym_err *err)
{
	struct sym_window *w;
	int ret = check_config(config, err);

	if (ret)
		return ret;
	w = calloc(1, sizeof(*w));
	if (!w)
		return sym_fail(err, -ENOMEM, "out of memory");
	*w = (struct sym_window){
		.sym = sym,
		.ops = ops,
		.vm = vm,
		.gpa = config->gpa,
		.limit = config->limit,
		.level = config->level,
		.changes = 1,
		.violation = config->violation,
		.arg = config->arg,
		.backing = { .fd = -1 },
	};
	pthread_mutex_init(&w->lock, NULL);
	ret = backing_create(&w->backing, config->bytes, config->file, config->name, err);
	if (!ret)
		ret = add(w, err);
	if (ret) {
		sym_window_destroy(w);
		return ret;
	}
	*out = w;
	return 0;
}

void sym_window_destroy(struct sym_window *w)
{
	if (!w)
		return;
	if (w->added) {
		sym_show_window(w->sym, NULL);
		w->ops->region_del(w->vm, w->gpa);
	}
	backing_destroy(&w->backing);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

const char *sym_window_leftover(const struct sym_window *w)
{
	return w->backing.leftover[0] ? w->backing.leftover : NULL;
}

bool sym_window_made_file(const struct sym_window *w)
{
	return w->backing.created;
}

int sym_window_reset(struct sym_window *w)
{
	int ret;

	pthread_mutex_lock(&w->lock);
	/* A reclaim that is under way must not punch for the last guest's answer. */
	w->resets++;
	w->grandfathered = w->old_limit = w->stale = 0;
	w->over_since_ms = 0;
	ret = backing_punch(&w->backing, 0, w->backing.size);
	pthread_mutex_unlock(&w->lock);
	return ret;
}

void sym_window_get(struct sym_window *w, struct sym_item_window *item)
{
	pthread_mutex_lock(&w->lock);
	fill_item(w, item);
	pthread_mutex_unlock(&w->lock);
}

uint64_t sym_window_lent(const struct sym_window *w)
{
	return backing_allocated(&w->backing);
}

int sym_window_set_level(struct sym_window *w, uint32_t level)
{
	if (level > SYM_WINDOW_BYPASS)
		return -EINVAL;
	pthread_mutex_lock(&w->lock);
	w->level = level;
	w->changes++;
	show(w);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

int sym_window_set_limit(struct sym_window *w, uint64_t limit)
{
	if (!limit_ok(limit, w->backing.size))
		return -EINVAL;
	pthread_mutex_lock(&w->lock);
	/* Pages already in use beyond a lower limit are no violation: see window_acked(). */
	if (limit < w->limit && w->limit > w->old_limit) {
		w->old_limit = w->limit;
		w->old_limit_s = 0;
	}
	w->limit = limit;
	w->changes++;
	show(w);
	pthread_mutex_unlock(&w->lock);
	return 0;
}
