// SPDX-License-Identifier: BSD-2-Clause
/*
 * The processes of user-mode networking, from the VMM's side: see user_process.h.
 */
#include "net/user_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/child.h"
#include "host/trim.h"
#include "net/backend.h"
#include "net/user.h"

#define START_MS 20000 /* for its report */
#define GRACE_MS 1000 /* to end by itself */
#define KILL_MS	 1000 /* to end when killed */

struct net_process {
	int pidfd; /* -1: none was started */
	int socket; /* -1: the card has taken it */
	int report; /* a pipe: a struct err, with code 0 when it is ready */
};

struct net_processes {
	struct net_process of[CONFIG_MAX_NETS];
};

/* The child */

/* Die with the VMM.  The kernel clears this setting when the user changes. */
static void die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
}

static int set_up(int socket, int report, pid_t parent, const struct net_config *config,
		  bool confine, struct user_net **un, struct err *err)
{
	int ret = child_keep(socket, report, err);

	if (!ret)
		ret = user_net_create(socket, config, un, err);
	if (!ret)
		ret = user_sandbox_limits(err);
	if (!ret) {
		die_with(parent);
		if (confine)
			ret = user_sandbox_enter(err);
	}
	return ret;
}

__attribute__((noreturn)) static void child(int socket, int report, pid_t parent,
					    const struct net_config *config, bool confine)
{
	struct user_net *un = NULL;
	struct err err = { 0 };

	die_with(parent);
	prctl(PR_SET_NAME, "symvmm-net");
	child_ignore_signals();
	socket = child_above_standard(socket);
	report = child_above_standard(report);
	err.code = set_up(socket, report, parent, config, confine, &un, &err);
	if (write(report, &err, sizeof(err)) != sizeof(err) || err.code)
		_exit(1);
	close(report);
	trim_memory();
	user_net_run(un);
	_exit(0);
}

/* The VMM */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int start(struct net_process *p, const struct net_config *config, bool confine,
		 struct err *err)
{
	int sockets[2] = { -1, -1 }, report[2] = { -1, -1 };
	pid_t parent = getpid(), pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) ||
	    pipe2(report, O_CLOEXEC))
		goto fail;
	pid = fork();
	if (!pid)
		child(sockets[1], report[1], parent, config, confine);
	if (pid < 0)
		goto fail;
	close(sockets[1]);
	close(report[1]);
	p->socket = sockets[0];
	p->report = report[0];
	p->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd >= 0)
		return 0;
	err_errno(err, "--net user: pidfd_open");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err->code;
fail:
	err_errno(err, "--net user: cannot start its process");
	for (int i = 0; i < 2; i++) {
		close_fd(&sockets[i]);
		close_fd(&report[i]);
	}
	return err->code;
}

int net_processes_start(const struct vm_config *config, struct net_processes **out,
			struct err *err)
{
	int ret = 0;

	*out = NULL;
	for (unsigned int i = 0; i < config->nr_nets && !ret; i++) {
		if (config->nets[i].kind != NET_USER)
			continue;
		if (!*out) {
			*out = calloc(1, sizeof(**out));
			if (!*out)
				return err_set(err, -ENOMEM, "network: out of memory");
			for (unsigned int j = 0; j < CONFIG_MAX_NETS; j++)
				(*out)->of[j] = (struct net_process){ -1, -1, -1 };
		}
		ret = start(&(*out)->of[i], &config->nets[i], config->seccomp, err);
	}
	return ret;
}

/* Read the process's report of its start: 0, or -errno with its message in @err. */
static int take_report(struct net_process *p, struct err *err)
{
	struct pollfd pfd = { .fd = p->report, .events = POLLIN };
	struct err said = { 0 };
	int ret = poll(&pfd, 1, START_MS);

	if (ret < 0)
		return err_errno(err, "--net user: poll");
	if (!ret)
		return err_set(err, -ETIMEDOUT, "--net user: its process does not answer");
	/* Written at once, and shorter than a pipe's atomic write. */
	if (read(p->report, &said, sizeof(said)) != sizeof(said))
		return err_set(err, -ECHILD, "--net user: its process ended while it started");
	said.msg[sizeof(said.msg) - 1] = '\0';
	return said.code ? err_set(err, said.code, "%s", said.msg) : 0;
}

int net_user_create(struct net_processes *np, unsigned int index, struct net_backend **out,
		    struct err *err)
{
	struct net_process *p = np && index < CONFIG_MAX_NETS ? &np->of[index] : NULL;
	int ret, fd;

	if (!p || p->socket < 0)
		return err_set(err, -ENOENT, "--net user: it has no process");
	ret = take_report(p, err);
	close_fd(&p->report);
	if (ret)
		return ret;
	fd = p->socket;
	p->socket = -1;
	ret = net_stream_create(fd, "the network process", out, err);
	if (!ret) {
		(*out)->mtu = NET_USER_MTU;
		(*out)->features = 1ull << VIRTIO_NET_F_GUEST_CSUM;
	}
	return ret;
}

static bool ends_within(struct net_process *p, int ms)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1;
}

static void stop(struct net_process *p)
{
	siginfo_t info;

	close_fd(&p->report);
	close_fd(&p->socket); /* this ends it, unless the card's close did already */
	if (p->pidfd < 0)
		return;
	if (!ends_within(p, GRACE_MS)) {
		syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
		ends_within(p, KILL_MS);
	}
	waitid(P_PIDFD, p->pidfd, &info, WEXITED | WNOHANG);
	close_fd(&p->pidfd);
}

void net_processes_stop(struct net_processes *np)
{
	if (!np)
		return;
	/* Close all sockets first, so that the processes end at the same time. */
	for (unsigned int i = 0; i < CONFIG_MAX_NETS; i++)
		close_fd(&np->of[i].socket);
	for (unsigned int i = 0; i < CONFIG_MAX_NETS; i++)
		stop(&np->of[i]);
	free(np);
}
