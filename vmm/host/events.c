// SPDX-License-Identifier: BSD-2-Clause
/*
 * The event stream.  An emitter only queues, under the lock; everything else
 * belongs to the loop's thread.  Subscribers may come and go inside a callback.
 */
#include "host/events.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/loop.h"
#include "core/rate.h"

#define EVENTS_PENDING	   256
#define EVENTS_HISTORY	   64
#define EVENTS_SUBSCRIBERS 64
#define EVENTS_KINDS	   48 /* with a rate of their own; the last is for all others */
#define HELD_CHECK_NS	   (200 * NS_PER_MS)

struct subscriber {
	event_fn fn; /* NULL: the place is free */
	void *arg;
};

/* A kind of event whose rate is limited. */
struct kind {
	char id[96]; /* "NAME KEY" */
	struct rate rate;
	json_t *held; /* the latest event beyond the rate */
	uint64_t held_order; /* its place among the held events of all kinds */
	unsigned int left_out; /* events before it */
};

struct events {
	int wakefd;
	struct loop_source *source;
	struct subscriber subscribers[EVENTS_SUBSCRIBERS];
	json_t *history[EVENTS_HISTORY];
	unsigned int nr_history; /* ever delivered */

	pthread_mutex_t lock; /* guards what follows */
	json_t *pending[EVENTS_PENDING];
	unsigned int first;
	unsigned int nr_pending;
	unsigned int dropped; /* since the last delivery */
	struct kind kinds[EVENTS_KINDS];
	unsigned int nr_kinds;
	uint64_t held_order;
	bool held_armed; /* held_timer will check the held events */
	struct loop_source *held_timer;
};

static void on_held(void *arg, uint32_t ready);

static void on_wake(void *arg, uint32_t ready)
{
	struct events *ev = arg;
	uint64_t count;

	if (read(ev->wakefd, &count, sizeof(count)) > 0)
		events_flush(ev);
}

int events_create(struct loop *loop, struct events **out)
{
	struct events *ev = calloc(1, sizeof(*ev));
	int ret;

	if (!ev)
		return -ENOMEM;
	json_object_seed(0); /* opens a file: now, before the sandbox forbids it */
	pthread_mutex_init(&ev->lock, NULL);
	ev->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = ev->wakefd < 0 ? -errno :
			       loop_add(loop, ev->wakefd, EPOLLIN, on_wake, ev, &ev->source);
	if (!ret)
		ret = loop_add_timer(loop, on_held, ev, &ev->held_timer);
	if (ret) {
		events_destroy(ev);
		return ret;
	}
	*out = ev;
	return 0;
}

void events_destroy(struct events *ev)
{
	if (!ev)
		return;
	loop_del(ev->source);
	loop_del(ev->held_timer);
	if (ev->wakefd >= 0)
		close(ev->wakefd);
	for (unsigned int i = 0; i < ev->nr_pending; i++)
		json_decref(ev->pending[(ev->first + i) % EVENTS_PENDING]);
	for (unsigned int i = 0; i < EVENTS_HISTORY; i++)
		json_decref(ev->history[i]);
	for (unsigned int i = 0; i < ev->nr_kinds; i++)
		json_decref(ev->kinds[i].held);
	pthread_mutex_destroy(&ev->lock);
	free(ev);
}

json_t *events_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy = string ? NULL : strdup(text);

	if (copy) {
		for (char *p = copy; *p; p++)
			if (*p & 0x80)
				*p = '?';
		string = json_string(copy);
		free(copy);
	}
	return string;
}

json_t *events_make(const char *name, json_t *data)
{
	struct timespec now;
	json_t *event;

	clock_gettime(CLOCK_REALTIME, &now);
	event = json_pack("{s:s, s:f}", "event", name, "time", now.tv_sec + now.tv_nsec / 1e9);
	if (!event)
		json_decref(data);
	else
		json_object_set_new(event, "data", data ? data : json_object());
	return event;
}

static void wake(struct events *ev)
{
	eventfd_write(ev->wakefd, 1);
}

/* queue - queue @event (NULL: out of memory), lock held.  Returns an event to free. */
static json_t *queue(struct events *ev, json_t *event)
{
	json_t *oldest = NULL;

	if (!event) {
		ev->dropped++;
		return NULL;
	}
	if (ev->nr_pending == EVENTS_PENDING) {
		oldest = ev->pending[ev->first];
		ev->first = (ev->first + 1) % EVENTS_PENDING;
		ev->nr_pending--;
		ev->dropped++;
	}
	ev->pending[(ev->first + ev->nr_pending++) % EVENTS_PENDING] = event;
	return oldest;
}

void events_emit(struct events *ev, const char *name, json_t *data)
{
	json_t *event = events_make(name, data), *unwanted;

	pthread_mutex_lock(&ev->lock);
	unwanted = queue(ev, event);
	pthread_mutex_unlock(&ev->lock);
	json_decref(unwanted);
	wake(ev);
}

static struct kind *kind_of(struct events *ev, enum event_rate rate, const char *name,
			    const char *key)
{
	static const struct rate rates[] = {
		[EVENTS_OF_GUEST] = RATE(8, 1),
		[EVENTS_OF_SERVICE] = RATE(64, 16),
	};
	char id[sizeof(ev->kinds[0].id)];
	struct kind *kind;

	snprintf(id, sizeof(id), "%s %s", name, key ? key : "");
	for (kind = ev->kinds; kind < ev->kinds + ev->nr_kinds; kind++)
		if (!strcmp(kind->id, id))
			return kind;
	if (ev->nr_kinds == EVENTS_KINDS)
		return &ev->kinds[EVENTS_KINDS - 1];
	ev->nr_kinds++;
	*kind = (struct kind){ .rate = rates[rate] };
	strcpy(kind->id, id);
	return kind;
}

/* hold - hold @event in place of the one held so far; returns that one. */
static json_t *hold(struct events *ev, struct kind *kind, json_t *event)
{
	json_t *before = kind->held;

	if (before)
		kind->left_out++;
	kind->held = event;
	kind->held_order = ++ev->held_order;
	if (!ev->held_armed)
		ev->held_armed = !loop_arm(ev->held_timer, HELD_CHECK_NS);
	return before;
}

void events_emit_limited(struct events *ev, enum event_rate rate, const char *name,
			 const char *key, json_t *data)
{
	json_t *event = events_make(name, data), *unwanted;
	struct kind *kind;
	bool passes;

	pthread_mutex_lock(&ev->lock);
	kind = kind_of(ev, rate, name, key);
	/* Do not overtake an event that is held. */
	passes = !event || (!kind->held && rate_take(&kind->rate, clock_ns()));
	unwanted = passes ? queue(ev, event) : hold(ev, kind, event);
	pthread_mutex_unlock(&ev->lock);
	json_decref(unwanted);
	if (passes)
		wake(ev);
}

/* The kind whose held event came first, of those that may go now.  Lock held. */
static struct kind *next_held(struct events *ev, bool all)
{
	uint64_t now = clock_ns();
	struct kind *next = NULL;

	for (struct kind *kind = ev->kinds; kind < ev->kinds + ev->nr_kinds; kind++)
		if (kind->held && (!next || kind->held_order < next->held_order) &&
		    (all || rate_ready(&kind->rate, now)))
			next = kind;
	if (next)
		rate_take(&next->rate, now);
	return next;
}

static void release(struct events *ev, bool all)
{
	struct kind *kind;

	pthread_mutex_lock(&ev->lock);
	while ((kind = next_held(ev, all))) {
		if (kind->left_out)
			json_object_set_new(kind->held, "left_out", json_integer(kind->left_out));
		json_decref(queue(ev, kind->held));
		kind->held = NULL;
		kind->left_out = 0;
	}
	ev->held_armed = false;
	for (kind = ev->kinds; kind < ev->kinds + ev->nr_kinds && !ev->held_armed; kind++)
		ev->held_armed = kind->held && !loop_arm(ev->held_timer, HELD_CHECK_NS);
	pthread_mutex_unlock(&ev->lock);
	wake(ev);
}

static void on_held(void *arg, uint32_t ready)
{
	release(arg, false);
}

void events_release(struct events *ev)
{
	release(ev, true);
}

static json_t *pending_take(struct events *ev)
{
	json_t *event = NULL;
	unsigned int dropped = 0;

	pthread_mutex_lock(&ev->lock);
	if (ev->nr_pending) {
		event = ev->pending[ev->first];
		ev->first = (ev->first + 1) % EVENTS_PENDING;
		ev->nr_pending--;
		dropped = ev->dropped;
		ev->dropped = 0;
	}
	pthread_mutex_unlock(&ev->lock);
	if (dropped)
		json_object_set_new(event, "dropped", json_integer(dropped));
	return event;
}

static void deliver(struct events *ev, json_t *event)
{
	json_t **place = &ev->history[ev->nr_history++ % EVENTS_HISTORY];

	json_decref(*place);
	*place = json_incref(event); /* a callback may subscribe, and ask for the history */
	for (unsigned int i = 0; i < EVENTS_SUBSCRIBERS; i++)
		if (ev->subscribers[i].fn)
			ev->subscribers[i].fn(ev->subscribers[i].arg, event);
	json_decref(event);
}

void events_flush(struct events *ev)
{
	unsigned int nr;
	json_t *event;

	pthread_mutex_lock(&ev->lock);
	nr = ev->nr_pending; /* events that callbacks emit are delivered next time */
	pthread_mutex_unlock(&ev->lock);
	while (nr-- && (event = pending_take(ev)))
		deliver(ev, event);
}

int events_subscribe(struct events *ev, int history, event_fn fn, void *arg)
{
	unsigned int end = ev->nr_history, i;
	unsigned int start = end > EVENTS_HISTORY ? end - EVENTS_HISTORY : 0;

	for (i = 0; i < EVENTS_SUBSCRIBERS && ev->subscribers[i].fn; i++)
		;
	if (i == EVENTS_SUBSCRIBERS)
		return -ENOSPC;
	ev->subscribers[i] = (struct subscriber){ .fn = fn, .arg = arg };
	for (; history && start != end && ev->subscribers[i].fn; start++)
		fn(arg, ev->history[start % EVENTS_HISTORY]);
	return i;
}

void events_unsubscribe(struct events *ev, int id)
{
	if (id >= 0 && id < EVENTS_SUBSCRIBERS)
		ev->subscribers[id].fn = NULL;
}
