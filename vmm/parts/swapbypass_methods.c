// SPDX-License-Identifier: BSD-2-Clause
/*
 * The method swapbypass.  The level or limit wanted is stored and shown to the guest at once;
 * a worker waits for the guest to apply it.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "control/control.h"
#include "control/work.h"
#include "core/parse.h"
#include "host/events.h"
#include "parts/swapbypass.h"
#include "parts/sym_json.h"

struct job {
	struct swapbypass *sb;
	uint64_t bytes; /* to reclaim */
	bool syncs;
};

static void job_drop(void *arg)
{
	struct job *job = arg;

	if (job->syncs)
		__atomic_sub_fetch(&job->sb->syncs_waiting, 1, __ATOMIC_RELEASE);
	free(job);
}

static const char absent[] = "the guest has no symswap module yet; it will be applied later";
static const char paused[] = "the VM is paused; it will be applied later";

static json_t *wanted_json(struct swapbypass *sb)
{
	struct sym_item_window item;

	sym_window_get(sb->window, &item);
	return json_pack("{s:s, s:I}", "wanted", swapbypass_level_name(item.level), "limit",
			 (json_int_t)item.limit);
}

static int explain(const struct swapbypass *sb, int ret, struct err *err)
{
	const char *text = sym_call_strerror(ret);

	if (ret == -ENODEV || ret == -ENOSYS)
		return err_set(err, ret, "the guest is not ready: it has no symswap module");
	if (ret == -EAGAIN && swapbypass_paused(sb))
		return err_set(err, ret, "the VM is paused");
	if (text)
		return err_set(err, ret, "%s", text);
	return err_set(err, ret, "the guest refused: %s", strerror(-ret));
}

/* @text may have the guest's name for its kernel in it. */
static void note(json_t *json, const char *text)
{
	json_object_set_new(json, "note", events_text(text));
}

/* Take back the pages above a lower limit, or all if the level is off. */
static void take_surplus(struct swapbypass *sb, uint32_t level, json_t *json)
{
	struct sym_window_reclaimed got = { 0 };
	struct sym_item_window item;
	uint64_t lent = sym_window_lent(sb->window);

	sym_window_get(sb->window, &item);
	if (level == SYM_WINDOW_OFF)
		item.limit = 0;
	if (lent <= item.limit)
		return;
	/* A failure need not be reported: the limit is watched anyway. */
	sym_window_reclaim(sb->window, lent - item.limit, &got);
	json_object_set_new(json, "punched", json_integer(got.punched));
}

static int do_sync(void *arg, json_t **result, struct err *err)
{
	struct job *job = arg;
	struct swapbypass *sb = job->sb;
	struct sym_window_reached reached;
	int ret = sym_window_sync(sb->window, &reached);

	*result = wanted_json(sb);
	if (ret == -ENODEV || ret == -ENOSYS) {
		note(*result, absent);
		return 0;
	}
	if (ret == -EAGAIN && swapbypass_paused(sb)) {
		note(*result, paused);
		return 0;
	}
	if (ret)
		return reached.reason[0] ?
			       err_set(err, ret, "the guest refused: %s", reached.reason) :
			       explain(sb, ret, err);
	json_object_set_new(*result, "level", json_string(swapbypass_level_name(reached.level)));
	json_object_set_new(*result, "reason", json_string(reached.reason));
	take_surplus(sb, reached.level, *result);
	return 0;
}

static int do_reclaim(void *arg, json_t **result, struct err *err)
{
	struct job *job = arg;
	struct sym_window_reclaimed got;
	struct err why = { 0 };
	int ret = sym_window_reclaim(job->sb->window, job->bytes, &got);

	if (ret && !got.punched && !got.evicted)
		return explain(job->sb, ret, err);
	*result = json_pack("{s:I, s:I}", "punched", (json_int_t)got.punched, "evicted",
			    (json_int_t)got.evicted);
	if (ret) {
		explain(job->sb, ret, &why);
		note(*result, why.msg);
	}
	return 0;
}

static void add_state(json_t *json, const struct sym_item_window_state *s)
{
	const struct {
		const char *key;
		uint64_t value;
	} figures[] = {
		{ "slots", s->slots },	       { "used", s->used },
		{ "mapped", s->mapped },       { "held", s->held },
		{ "guest_lent", s->lent },     { "maps", s->maps },
		{ "restores", s->restores },   { "passed", s->passed },
		{ "reads", s->reads },	       { "writes", s->writes },
		{ "processes", s->processes }, { "idle", s->idle },
		{ "cold", s->cold },
	};

	json_object_set_new(json, "level", json_string(swapbypass_level_name(s->level)));
	json_object_set_new(json, "reason", sym_json_text(s->reason, sizeof(s->reason)));
	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		json_object_set_new(json, figures[i].key,
				    json_integer((json_int_t)figures[i].value));
}

static int do_stat(void *arg, json_t **result, struct err *err)
{
	struct job *job = arg;
	struct swapbypass *sb = job->sb;
	struct sym_item_window_state state;
	struct err why = { 0 };
	int ret = sym_window_ready(sb->window) ? sym_window_refresh(sb->window) : 0;
	json_t *json = wanted_json(sb);

	json_object_set_new(json, "size", json_integer(sb->item.size));
	json_object_set_new(json, "gpa", sym_json_number(sb->item.gpa));
	json_object_set_new(json, "lent", json_integer(sym_window_lent(sb->window)));
	json_object_set_new(json, "idle_returned",
			    json_integer(sym_window_idle_returned(sb->window)));
	json_object_set_new(json, "exits",
			    json_integer(__atomic_load_n(&sb->exits, __ATOMIC_RELAXED)));
	if (!sym_window_state(sb->window, &state))
		add_state(json, &state);
	else
		note(json, swapbypass_hopeless(sb, why.msg, sizeof(why.msg)) ?
				   why.msg :
				   "the guest has no symswap module");
	if (ret) {
		explain(sb, ret, &why);
		note(json, why.msg);
	}
	*result = json;
	return 0;
}

static int get_size(struct control_call *call, uint64_t *size)
{
	const json_t *value = json_object_get(call->params, "size");
	const char *text = json_string_value(value);
	int ret = 0;

	*size = 0;
	if (text)
		ret = parse_size(text, "size", size, &call->err);
	else if (json_is_integer(value) && json_integer_value(value) > 0)
		*size = json_integer_value(value);
	else
		return err_set(
			&call->err, -EINVAL,
			"parameter 'size' must be a number of bytes, or a text like \"64M\"");
	if (!ret && !*size)
		return err_set(&call->err, -EINVAL, "size 0: must be more");
	return ret;
}

/* start - run @fn in @work; it answers @call. */
static int start(struct control_call *call, struct work *work, work_fn fn, uint64_t bytes)
{
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return -ENOMEM;
	*job = (struct job){ call->arg, bytes, fn == do_sync };
	if (job->syncs)
		__atomic_add_fetch(&job->sb->syncs_waiting, 1, __ATOMIC_RELEASE);
	return work_call(work, call, fn, job, job_drop);
}

/* Do not wait for a guest that cannot be called now. */
static int sync_guest(struct control_call *call)
{
	struct swapbypass *sb = call->arg;
	bool ready = sym_window_ready(sb->window);

	if (ready && !swapbypass_paused(sb))
		return start(call, sb->work, do_sync, 0);
	call->result = wanted_json(sb);
	if (!call->result)
		return -ENOMEM;
	note(call->result, ready ? paused : absent);
	return 0;
}

static int set_level(struct control_call *call, uint32_t level)
{
	struct swapbypass *sb = call->arg;
	char why[512];

	/* Do not accept a level that can never be reached. */
	if (level != SYM_WINDOW_OFF && swapbypass_hopeless(sb, why, sizeof(why)))
		return err_set(&call->err, -ENODEV, "the guest will get no symswap module: %s",
			       why);
	sym_window_set_level(sb->window, level);
	return sync_guest(call);
}

static int action_on(struct control_call *call)
{
	return set_level(call, SYM_WINDOW_BYPASS);
}

static int action_device(struct control_call *call)
{
	return set_level(call, SYM_WINDOW_DEVICE);
}

static int action_off(struct control_call *call)
{
	return set_level(call, SYM_WINDOW_OFF);
}

static int action_limit(struct control_call *call)
{
	struct swapbypass *sb = call->arg;
	uint64_t size;
	int ret = get_size(call, &size);

	if (ret)
		return ret;
	if (sym_window_set_limit(sb->window, size))
		return err_set(&call->err, -EINVAL,
			       "limit %llu: must be a multiple of 4096, at "
			       "most the window's size, %llu",
			       (unsigned long long)size, (unsigned long long)sb->item.size);
	return sync_guest(call);
}

static int action_reclaim(struct control_call *call)
{
	struct swapbypass *sb = call->arg;
	uint64_t size;
	int ret = get_size(call, &size);

	return ret ? ret : start(call, sb->work, do_reclaim, size);
}

/* The other worker, so that it is answered during a swapoff. */
static int action_stat(struct control_call *call)
{
	return start(call, ((struct swapbypass *)call->arg)->vm->work, do_stat, 0);
}

static int method_swapbypass(struct control_call *call)
{
	static const struct {
		const char *name;
		bool takes_size;
		int (*fn)(struct control_call *call);
	} actions[] = {
		{ "on", false, action_on },	 { "device", false, action_device },
		{ "off", false, action_off },	 { "stat", false, action_stat },
		{ "limit", true, action_limit }, { "reclaim", true, action_reclaim },
	};
	const char *name = json_string_value(json_object_get(call->params, "action"));

	if (!call->arg)
		return err_set(&call->err, -ENOTSUP,
			       "the VM has no window and cannot get one while it runs: "
			       "start the VM with --swapbypass SIZE");
	for (size_t i = 0; name && i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, name))
			continue;
		if (!actions[i].takes_size && json_object_get(call->params, "size"))
			return err_set(&call->err, -EINVAL, "action '%s' takes no 'size'", name);
		return actions[i].fn(call);
	}
	return err_set(&call->err, -EINVAL,
		       "parameter 'action' must be \"on\", \"device\", \"off\", "
		       "\"stat\", \"limit\" or \"reclaim\"");
}

static const char *const swapbypass_params[] = { "action", "size", NULL };

const struct control_method swapbypass_methods[] = {
	{ .name = "swapbypass", .params = swapbypass_params, .fn = method_swapbypass },
	{ .name = NULL },
};
