// SPDX-License-Identifier: BSD-2-Clause
/*
 * Deferred answers, and file descriptors that come with requests: order,
 * clients that disconnect, and that no client can fill the table of files.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"
#include "control/work.h"
#include "core/loop.h"
#include "host/events.h"

static char folder[64];

static struct {
	struct loop *loop;
	struct events *events;
	struct control *control;
	pthread_t thread;
	struct loop_source *timer;
	struct control_later *later;
	int answered;
	bool fail;
	struct work *work;
	struct work_job *job[2]; /* deferred */
	int nr_jobs;
} server;

static void on_timer(void *arg, uint32_t events)
{
	struct err err = { 0 };

	if (server.fail)
		err_set(&err, -ETIMEDOUT, "too late");
	control_answer(server.later, json_pack("{s:s}", "slow", "yes"), &err);
	server.later = NULL;
	__atomic_add_fetch(&server.answered, 1, __ATOMIC_SEQ_CST);
}

static int method_slow(struct control_call *call)
{
	server.later = control_defer(call);
	loop_arm(server.timer, 100000000);
	return CONTROL_LATER;
}

static int method_quick(struct control_call *call)
{
	return 0;
}

/* The contents of the file that came with the request. */
static int method_read(struct control_call *call)
{
	char text[16] = "";

	if (call->fd < 0)
		return err_set(&call->err, -EBADF, "no file");
	if (read(call->fd, text, sizeof(text) - 1) < 0)
		return -errno;
	close(call->fd);
	call->fd = -1;
	call->result = json_pack("{s:s}", "text", text);
	return 0;
}

static int say_ended(void *arg, json_t **result, struct err *err)
{
	__atomic_add_fetch(&server.answered, 1, __ATOMIC_SEQ_CST);
	return server.fail ? err_set(err, -ECANCELED, "ended") : 0;
}

static int method_deferred(struct control_call *call)
{
	int nr = server.nr_jobs;

	server.job[nr] = work_defer(server.work, call, say_ended, strdup("freed"), free);
	__atomic_store_n(&server.nr_jobs, nr + 1, __ATOMIC_SEQ_CST);
	return CONTROL_LATER;
}

static int nap(void *arg, json_t **result, struct err *err)
{
	usleep(300000);
	return 0;
}

static int method_nap(struct control_call *call)
{
	return work_call(server.work, call, nap, NULL, NULL);
}

static const struct control_method methods[] = {
	{ "slow", NULL, method_slow }, { "quick", NULL, method_quick },
	{ "read", NULL, method_read }, { "deferred", NULL, method_deferred },
	{ "nap", NULL, method_nap },   { .name = NULL },
};

static const struct control_table table = { methods, NULL };

static void *serve(void *arg)
{
	loop_run(server.loop);
	return NULL;
}

static int setup(void **state)
{
	struct control_server config = { .tables = &table, .nr_tables = 1 };
	struct err err = { 0 };

	memset(&server, 0, sizeof(server));
	assert_int_equal(loop_create(&server.loop), 0);
	assert_int_equal(events_create(server.loop, &server.events), 0);
	assert_int_equal(loop_add_timer(server.loop, on_timer, NULL, &server.timer), 0);
	assert_int_equal(work_create(server.loop, "test", &server.work), 0);
	assert_int_equal(control_reserve("test", &server.control, &err), 0);
	config.loop = server.loop;
	config.events = server.events;
	assert_int_equal(control_serve(server.control, &config, &err), 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	loop_quit(server.loop);
	pthread_join(server.thread, NULL);
	work_destroy(server.work);
	control_destroy(server.control);
	if (server.later) /* the socket is destroyed: only the memory is left */
		control_answer(server.later, NULL, NULL);
	loop_del(server.timer);
	events_destroy(server.events);
	loop_destroy(server.loop);
	return 0;
}

static int client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval tv = { .tv_sec = 5 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char c = 0;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/test.sock", folder);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	while (c != '\n') /* the greeting */
		assert_int_equal(read(fd, &c, 1), 1);
	return fd;
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void put_fds(int fd, const char *text, const int *fds, size_t nr)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (char *)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };

	msg.msg_controllen = CMSG_SPACE(nr * sizeof(int));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(&control.head), fds, nr * sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), iov.iov_len);
}

static void expect(int fd, const char *answer)
{
	char line[512];
	size_t len = 0;

	do {
		assert_true(len < sizeof(line) - 1);
		assert_int_equal(read(fd, line + len, 1), 1);
	} while (line[len++] != '\n');
	line[len - 1] = '\0';
	assert_string_equal(line, answer);
}

static void expect_end(int fd)
{
	char c;

	assert_int_equal(read(fd, &c, 1), 0);
	close(fd);
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static int text_file(const char *text)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, strlen(text)), strlen(text));
	close(fds[1]);
	return fds[0];
}

static void test_later(void **state)
{
	int fd = client();

	put(fd, "{\"id\":1,\"method\":\"slow\"}\n");
	expect(fd, "{\"id\":1,\"result\":{\"slow\":\"yes\"}}");
	put(fd, "{\"id\":2,\"method\":\"quick\"}\n");
	expect(fd, "{\"id\":2,\"result\":{}}");
	close(fd);
}

static void test_later_error(void **state)
{
	int fd = client();

	server.fail = true;
	put(fd, "{\"id\":1,\"method\":\"slow\"}\n");
	expect(fd, "{\"id\":1,\"error\":{\"code\":\"ETIMEDOUT\",\"errno\":110,"
		   "\"message\":\"too late\"}}");
	close(fd);
}

static void test_order(void **state)
{
	int fd = client(), other;

	put(fd, "{\"id\":1,\"method\":\"slow\"}\n{\"id\":2,\"method\":\"quick\"}\n");
	put(fd, "{\"id\":3,\"method\":\"quick\"}");
	shutdown(fd, SHUT_WR);
	other = client(); /* does not wait for it */
	put(other, "{\"id\":9,\"method\":\"quick\"}\n");
	expect(other, "{\"id\":9,\"result\":{}}");
	assert_int_equal(__atomic_load_n(&server.answered, __ATOMIC_SEQ_CST), 0);
	close(other);
	expect(fd, "{\"id\":1,\"result\":{\"slow\":\"yes\"}}");
	expect(fd, "{\"id\":2,\"result\":{}}");
	expect(fd, "{\"id\":3,\"result\":{}}");
	expect_end(fd);
}

static void test_last_line_is_slow(void **state)
{
	int fd = client();

	put(fd, "{\"id\":1,\"method\":\"slow\"}");
	shutdown(fd, SHUT_WR);
	expect(fd, "{\"id\":1,\"result\":{\"slow\":\"yes\"}}");
	expect_end(fd);
}

static void test_client_leaves(void **state)
{
	int fd = client();

	put(fd, "{\"id\":1,\"method\":\"slow\"}\n");
	usleep(20000);
	close(fd);
	for (int i = 0; i < 100 && !__atomic_load_n(&server.answered, __ATOMIC_SEQ_CST); i++)
		usleep(10000);
	fd = client();
	put(fd, "{\"id\":2,\"method\":\"quick\"}\n");
	expect(fd, "{\"id\":2,\"result\":{}}");
	close(fd);
}

static void test_socket_goes(void **state)
{
	int fd = client();

	put(fd, "{\"id\":1,\"method\":\"slow\"}\n");
	usleep(20000);
	close(fd); /* teardown() answers after the socket is destroyed */
}

static void await_jobs(int nr)
{
	for (int i = 0; i < 500 && __atomic_load_n(&server.nr_jobs, __ATOMIC_SEQ_CST) < nr; i++)
		usleep(10000);
	assert_int_equal(server.nr_jobs, nr);
}

/* Several at once, completed in another order, and not delayed by the worker. */
static void test_elsewhere(void **state)
{
	int fd = client(), other = client(), busy = client();

	put(busy, "{\"id\":0,\"method\":\"nap\"}\n");
	put(fd, "{\"id\":1,\"method\":\"deferred\"}\n");
	await_jobs(1);
	put(other, "{\"id\":2,\"method\":\"deferred\"}\n");
	await_jobs(2);
	work_complete(server.work, server.job[1]);
	expect(other, "{\"id\":2,\"result\":{}}");
	server.fail = true;
	work_complete(server.work, server.job[0]);
	expect(fd, "{\"id\":1,\"error\":{\"code\":\"ECANCELED\",\"errno\":125,"
		   "\"message\":\"ended\"}}");
	expect(busy, "{\"id\":0,\"result\":{}}");
	close(fd);
	close(other);
	close(busy);
}

static void *end_slowly(void *arg)
{
	usleep(100000);
	work_complete(server.work, server.job[0]);
	return NULL;
}

/* It is completed during teardown, which waits for it and frees it. */
static void test_elsewhere_at_the_end(void **state)
{
	int fd = client();
	pthread_t thread;

	put(fd, "{\"id\":1,\"method\":\"deferred\"}\n");
	await_jobs(1);
	assert_int_equal(pthread_create(&thread, NULL, end_slowly, NULL), 0);
	pthread_detach(thread);
	close(fd);
	teardown(state);
	assert_int_equal(server.answered, 1);
	setup(state);
}

static void test_fd(void **state)
{
	int fd = client(), file = text_file("in the file");

	put_fds(fd, "{\"id\":1,\"method\":\"read\"}\n", &file, 1);
	close(file);
	expect(fd, "{\"id\":1,\"result\":{\"text\":\"in the file\"}}");
	put(fd, "{\"id\":2,\"method\":\"read\"}\n");
	expect(fd,
	       "{\"id\":2,\"error\":{\"code\":\"EBADF\",\"errno\":9,\"message\":\"no file\"}}");
	close(fd);
}

/* In pieces: the file belongs to the line whose first piece it came with. */
static void test_fd_in_pieces(void **state)
{
	int fd = client(), file = text_file("x");

	put_fds(fd, "{\"id\":1,", &file, 1);
	close(file);
	usleep(20000);
	put(fd, "\"method\":\"read\"}\n");
	expect(fd, "{\"id\":1,\"result\":{\"text\":\"x\"}}");
	close(fd);
}

static void test_fd_not_taken(void **state)
{
	int fd = client(), file = text_file("x"), before;

	put(fd, "{\"id\":0,\"method\":\"quick\"}\n");
	expect(fd, "{\"id\":0,\"result\":{}}");
	before = open_files();
	for (int i = 0; i < 20; i++) {
		put_fds(fd, "{\"id\":1,\"method\":\"quick\"}\n", &file, 1);
		expect(fd, "{\"id\":1,\"result\":{}}");
		put_fds(fd, "{\"id\":1,\"method\":\"nosuch\"}\n", &file, 1);
		expect(fd, "{\"id\":1,\"error\":{\"code\":\"ENOSYS\",\"errno\":38,"
			   "\"message\":\"unknown method 'nosuch'\"}}");
	}
	assert_int_equal(open_files(), before);
	close(file);
	close(fd);
}

static void test_fds_of_the_hostile(void **state)
{
	int file = text_file("x"), before = open_files(), fd = client();
	int files[8];

	for (int i = 0; i < 8; i++)
		files[i] = file;
	put_fds(fd, "{\"id\":1,\"method\":\"read\"}\n", files, 8);
	expect(fd, "{\"id\":1,\"error\":{\"code\":\"EINVAL\",\"errno\":22,\"message\":"
		   "\"more than one file descriptor came with the request\"}}");
	/* One after the other, none with the end of a line, then disconnect. */
	for (int i = 0; i < 20; i++)
		put_fds(fd, " ", files, 3);
	put(fd, "\n");
	expect(fd, "{\"id\":null,\"error\":{\"code\":\"EINVAL\",\"errno\":22,\"message\":"
		   "\"malformed JSON: '[' or '{' expected near end of file\"}}");
	for (int i = 0; i < 20; i++)
		put_fds(fd, " ", files, 3);
	close(fd);
	for (int i = 0; i < 100 && open_files() != before; i++)
		usleep(10000);
	assert_int_equal(open_files(), before);
	close(file);
}

int main(void)
{
#define SERVED(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		SERVED(test_later),
		SERVED(test_later_error),
		SERVED(test_order),
		SERVED(test_last_line_is_slow),
		SERVED(test_client_leaves),
		SERVED(test_socket_goes),
		SERVED(test_elsewhere),
		SERVED(test_elsewhere_at_the_end),
		SERVED(test_fd),
		SERVED(test_fd_in_pieces),
		SERVED(test_fd_not_taken),
		SERVED(test_fds_of_the_hostile),
	};
	char template[] = "/tmp/symkit-test-XXXXXX";
	int ret;

	if (!mkdtemp(template))
		return 1;
	snprintf(folder, sizeof(folder), "%s/run", template);
	setenv("SYMKIT_RUNTIME", folder, 1);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	rmdir(template);
	return ret;
}
