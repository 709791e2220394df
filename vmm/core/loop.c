// SPDX-License-Identifier: BSD-2-Clause
/*
 * The event loop of the I/O thread.  A deleted source is only marked, and
 * freed after the current batch of events, which may still refer to it.
 */
#include "core/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct loop_source {
	struct loop *loop;
	struct loop_source *next; /* on loop->sources, or on loop->dead */
	loop_fn fn;
	void *arg;
	int fd;
	bool is_timer; /* fd is our own timerfd */
	bool dead;
};

struct loop {
	int epfd;
	int quitfd;
	pthread_mutex_t lock; /* guards the list: sources may be added by any thread */
	struct loop_source *sources;
};

int loop_create(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event ev = { .events = EPOLLIN };
	int ret;

	if (!loop)
		return -ENOMEM;
	pthread_mutex_init(&loop->lock, NULL);
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	loop->quitfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epfd < 0 || loop->quitfd < 0 ||
	    epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->quitfd, &ev)) {
		ret = -errno;
		loop_destroy(loop);
		return ret;
	}
	*out = loop;
	return 0;
}

static void source_free(struct loop_source *src)
{
	if (src->is_timer)
		close(src->fd);
	free(src);
}

void loop_destroy(struct loop *loop)
{
	struct loop_source *src;

	if (!loop)
		return;
	while ((src = loop->sources)) {
		loop->sources = src->next;
		source_free(src);
	}
	if (loop->epfd >= 0)
		close(loop->epfd);
	if (loop->quitfd >= 0)
		close(loop->quitfd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

static int add(struct loop *loop, int fd, bool is_timer, uint32_t events, loop_fn fn, void *arg,
	       struct loop_source **out)
{
	struct loop_source *src = calloc(1, sizeof(*src));
	struct epoll_event ev = { .events = events, .data.ptr = src };
	int ret;

	if (!src)
		return -ENOMEM;
	*src = (struct loop_source){
		.loop = loop, .fn = fn, .arg = arg, .fd = fd, .is_timer = is_timer
	};
	if (out)
		*out = src; /* before the first event can arrive */
	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev)) {
		ret = -errno;
		if (out)
			*out = NULL;
		free(src);
		return ret;
	}
	pthread_mutex_lock(&loop->lock);
	src->next = loop->sources;
	loop->sources = src;
	pthread_mutex_unlock(&loop->lock);
	return 0;
}

int loop_add(struct loop *loop, int fd, uint32_t events, loop_fn fn, void *arg,
	     struct loop_source **out)
{
	return add(loop, fd, false, events, fn, arg, out);
}

int loop_mod(struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(src->loop->epfd, EPOLL_CTL_MOD, src->fd, &ev) ? -errno : 0;
}

void loop_del(struct loop_source *src)
{
	if (!src || src->dead)
		return;
	epoll_ctl(src->loop->epfd, EPOLL_CTL_DEL, src->fd, NULL);
	src->dead = true;
}

int loop_add_timer(struct loop *loop, loop_fn fn, void *arg, struct loop_source **out)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int ret;

	if (fd < 0)
		return -errno;
	ret = add(loop, fd, true, EPOLLIN, fn, arg, out);
	if (ret)
		close(fd);
	return ret;
}

int loop_arm(struct loop_source *src, uint64_t ns)
{
	struct itimerspec its = {
		.it_value = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 },
	};

	return timerfd_settime(src->fd, 0, &its, NULL) ? -errno : 0;
}

static void loop_reap(struct loop *loop)
{
	struct loop_source **link, *src;

	pthread_mutex_lock(&loop->lock);
	for (link = &loop->sources; (src = *link);) {
		if (!src->dead) {
			link = &src->next;
			continue;
		}
		*link = src->next;
		source_free(src);
	}
	pthread_mutex_unlock(&loop->lock);
}

int loop_run(struct loop *loop)
{
	struct epoll_event ev[16];
	bool quit = false;

	while (!quit) {
		int n = epoll_wait(loop->epfd, ev, 16, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct loop_source *src = ev[i].data.ptr;
			uint64_t count;

			if (!src) {
				quit = read(loop->quitfd, &count, sizeof(count)) > 0;
				continue;
			}
			if (src->dead)
				continue;
			if (src->is_timer && read(src->fd, &count, sizeof(count)) < 0)
				continue; /* disarmed meanwhile */
			src->fn(src->arg, ev[i].events);
		}
		loop_reap(loop);
	}
	return 0;
}

void loop_quit(struct loop *loop)
{
	eventfd_write(loop->quitfd, 1);
}
