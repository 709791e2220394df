// SPDX-License-Identifier: BSD-2-Clause
/* Forks: the pages of parent and child are the same until one writes. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

extern char **environ;

/* In the child: its pages are those of the moment of the fork, whatever others write. */
static void live(struct run *r, size_t reads, size_t writes)
{
	size_t nr;

	for (size_t i = 0; i < reads; i++) {
		nr = rnd_below(&r->rnd, r->set.pages);
		if (r->set.lock[nr])
			continue;
		set_check(&r->set, nr, true);
	}
	for (size_t i = 0; i < writes; i++) {
		nr = rnd_below(&r->rnd, r->set.pages);
		if (r->set.lock[nr])
			continue;
		set_write(&r->set, nr);
		set_check(&r->set, nr, true);
	}
	_exit(0);
}

const char *do_fork(struct run *r)
{
	size_t some = r->set.pages / 16;
	struct crew crew;
	pid_t pid[2];

	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		for (int i = 0; i < 2; i++) {
			pid[i] = fork_quiet();
			r->rnd.state++;
			if (!pid[i])
				live(r, rnd_below(&r->rnd, some), rnd_below(&r->rnd, some));
		}
		for (int i = 0; i < 2; i++)
			reap(pid[i], "a child");
		r->rounds += 2;
	}
	crew_stop(&crew, r);
	return NULL;
}

/* Of four children one runs another program, one only ends, two read and write a little. */
static pid_t short_life(struct run *r)
{
	char *argv[] = { (char *)"true", NULL };
	uint64_t kind = rnd_next(&r->rnd) % 4;
	pid_t pid;

	if (kind == 0 && !posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ))
		return pid;
	pid = fork_quiet();
	if (pid)
		return pid;
	if (kind == 1) {
		execv("/bin/true", argv);
		_exit(0);
	}
	if (kind > 1)
		live(r, 10, 10);
	_exit(0);
}

#define STORM 8
const char *do_storm(struct run *r)
{
	struct crew crew;
	pid_t pid[STORM];

	crew_start(&crew, &r->set, r->threads, PEEK_VERSION, r->seed);
	while (more(r, r->rounds)) {
		for (int i = 0; i < STORM; i++)
			pid[i] = short_life(r);
		for (int i = 0; i < STORM; i++)
			reap(pid[i], "a short-lived child");
		r->rounds += STORM;
	}
	crew_stop(&crew, r);
	return NULL;
}
