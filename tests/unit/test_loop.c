// SPDX-License-Identifier: BSD-2-Clause
/* loop.c: sources, timers, and sources deleted while their events are being handled. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/loop.h"

struct probe {
	struct loop *loop;
	struct loop_source *source;
	struct loop_source *victim; /* deleted by the first call */
	int fd;
	int calls;
	int quit_at;
	uint32_t events;
};

static void on_probe(void *arg, uint32_t events)
{
	struct probe *p = arg;

	p->events = events;
	if (p->victim)
		loop_del(p->victim);
	p->victim = NULL;
	if (++p->calls == p->quit_at)
		loop_quit(p->loop);
}

static int ready_fd(void)
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

static void test_source(void **state)
{
	struct probe p = { .quit_at = 3 };
	int fd = ready_fd();

	assert_int_equal(loop_create(&p.loop), 0);
	assert_int_equal(loop_add(p.loop, fd, EPOLLIN, on_probe, &p, &p.source), 0);
	assert_int_equal(loop_run(p.loop), 0);
	assert_true(p.calls >= 3); /* level-triggered: it was not read */
	assert_int_equal(p.events, EPOLLIN);
	assert_int_equal(loop_mod(p.source, EPOLLOUT), 0);
	p.quit_at = p.calls + 1;
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(p.events, EPOLLOUT);
	loop_del(p.source);
	loop_destroy(p.loop);
	close(fd);
}

static void test_bad_fd(void **state)
{
	struct loop_source *source;
	struct loop *loop;

	assert_int_equal(loop_create(&loop), 0);
	assert_true(loop_add(loop, -1, EPOLLIN, on_probe, NULL, &source) < 0);
	assert_null(source);
	loop_destroy(loop);
}

/* Both are ready at once; whichever comes first deletes the other. */
static void test_delete_in_hand(void **state)
{
	struct probe a = { .quit_at = 1 }, b = { .quit_at = 1 };
	int fd_a = ready_fd(), fd_b = ready_fd();

	assert_int_equal(loop_create(&a.loop), 0);
	b.loop = a.loop;
	assert_int_equal(loop_add(a.loop, fd_a, EPOLLIN, on_probe, &a, &a.source), 0);
	assert_int_equal(loop_add(a.loop, fd_b, EPOLLIN, on_probe, &b, &b.source), 0);
	a.victim = b.source;
	b.victim = a.source;
	assert_int_equal(loop_run(a.loop), 0);
	assert_true(!a.calls != !b.calls);
	loop_destroy(a.loop);
	close(fd_a);
	close(fd_b);
}

static void test_delete_self(void **state)
{
	struct probe p = { .quit_at = 0 }, end = { .quit_at = 1 };
	int fd = ready_fd();

	assert_int_equal(loop_create(&p.loop), 0);
	end.loop = p.loop;
	assert_int_equal(loop_add(p.loop, fd, EPOLLIN, on_probe, &p, &p.source), 0);
	p.victim = p.source;
	assert_int_equal(loop_add_timer(p.loop, on_probe, &end, &end.source), 0);
	assert_int_equal(loop_arm(end.source, 20000000), 0);
	assert_int_equal(loop_run(p.loop), 0);
	assert_int_equal(p.calls, 1);
	assert_int_equal(end.calls, 1);
	loop_destroy(p.loop);
	close(fd);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void test_timers(void **state)
{
	struct probe never = { .quit_at = 1 }, soon = { .quit_at = 1 };
	uint64_t start = now_ns();

	assert_int_equal(loop_create(&soon.loop), 0);
	never.loop = soon.loop;
	assert_int_equal(loop_add_timer(soon.loop, on_probe, &never, &never.source), 0);
	assert_int_equal(loop_add_timer(soon.loop, on_probe, &soon, &soon.source), 0);
	assert_int_equal(loop_arm(never.source, 1000000), 0);
	assert_int_equal(loop_arm(never.source, 0), 0);
	assert_int_equal(loop_arm(soon.source, 30000000), 0);
	assert_int_equal(loop_run(soon.loop), 0);
	assert_true(now_ns() - start >= 30000000);
	assert_int_equal(never.calls, 0);
	assert_int_equal(soon.calls, 1);
	loop_del(never.source);
	loop_destroy(soon.loop);
}

static void *quit_later(void *arg)
{
	usleep(20000);
	loop_quit(arg);
	return NULL;
}

static void test_quit_from_thread(void **state)
{
	struct loop *loop;
	pthread_t thread;

	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(pthread_create(&thread, NULL, quit_later, loop), 0);
	assert_int_equal(loop_run(loop), 0);
	pthread_join(thread, NULL);
	loop_quit(loop); /* before the run: it ends at once */
	assert_int_equal(loop_run(loop), 0);
	loop_destroy(loop);
}

static void test_hang_up(void **state)
{
	struct probe p = { .quit_at = 1 };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(loop_create(&p.loop), 0);
	assert_int_equal(loop_add(p.loop, fds[0], 0, on_probe, &p, &p.source), 0);
	close(fds[1]);
	assert_int_equal(loop_run(p.loop), 0);
	assert_true(p.events & EPOLLHUP);
	loop_del(p.source);
	loop_destroy(p.loop);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_source),	       cmocka_unit_test(test_bad_fd),
		cmocka_unit_test(test_delete_in_hand), cmocka_unit_test(test_delete_self),
		cmocka_unit_test(test_timers),	       cmocka_unit_test(test_quit_from_thread),
		cmocka_unit_test(test_hang_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
