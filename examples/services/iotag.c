// SPDX-License-Identifier: BSD-2-Clause
/*
 * iotag: which process of the guest causes disk I/O.  Each notification of a disk is charged
 * to the process that runs on the vCPU at that time: SymSpy shows it, without a call to the
 * guest.  Needs --disk FILE,notify=exit.
 *
 * Several requests with one notification are charged once, and data that the kernel writes
 * back later is charged to the kernel thread that does it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <symkit/service.h>

#define MAX_PROCESSES 1024

struct process {
	uint32_t tgid;
	char comm[17];
	uint64_t requests;
};

static struct {
	struct sym_service_vm *vm;
	pthread_mutex_t lock; /* guards what follows: hooks run in several threads */
	struct process table[MAX_PROCESSES]; /* the busiest first */
	unsigned int nr;
	uint64_t requests;
	uint64_t unknown; /* no SymSpy data at that time, or the table is full */
} iotag = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void charge(struct process *p)
{
	p->requests++;
	for (; p > iotag.table && p[-1].requests < p->requests; p--) {
		struct process swap = *p;

		*p = p[-1];
		p[-1] = swap;
	}
}

static struct process *find(const struct sym_item_task *task)
{
	struct process *p = iotag.table;

	for (; p < iotag.table + iotag.nr; p++)
		if (p->tgid == task->tgid && !strncmp(p->comm, task->comm, sizeof(task->comm)))
			return p;
	if (iotag.nr == MAX_PROCESSES)
		return NULL;
	iotag.nr++;
	p->tgid = task->tgid;
	memcpy(p->comm, task->comm, sizeof(task->comm));
	return p;
}

/* In the thread of the vCPU that made the notification. */
static bool on_doorbell(void *state, unsigned int vcpu, struct sym_exit *exit)
{
	struct sym_item_task task;
	struct process *p = NULL;
	const char *disk;

	if (!exit->write)
		return false;
	disk = sym_service_device_at(iotag.vm, exit->addr);
	if (!disk || strncmp(disk, "blk", 3))
		return false;
	pthread_mutex_lock(&iotag.lock);
	if (!sym_spy_task(sym_service_sym(iotag.vm), vcpu, &task))
		p = find(&task);
	if (p)
		charge(p);
	__atomic_add_fetch(p ? &iotag.requests : &iotag.unknown, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&iotag.lock);
	return false; /* the disk handles it as usual */
}

static int verb_top(void *state, int argc, const char *const *argv,
		    struct sym_service_answer *answer)
{
	int rows = argc ? atoi(argv[0]) : 10;

	pthread_mutex_lock(&iotag.lock);
	sym_service_print(answer, "%10s %8s %s\n", "REQUESTS", "PID", "COMMAND");
	for (unsigned int i = 0; i < iotag.nr && (int)i < rows; i++)
		sym_service_print(answer, "%10llu %8u %.16s\n",
				  (unsigned long long)iotag.table[i].requests,
				  iotag.table[i].tgid, iotag.table[i].comm);
	if (iotag.unknown)
		sym_service_print(answer, "%10llu %8s (unknown)\n",
				  (unsigned long long)iotag.unknown, "-");
	pthread_mutex_unlock(&iotag.lock);
	return 0;
}

static int verb_clear(void *state, int argc, const char *const *argv,
		      struct sym_service_answer *answer)
{
	pthread_mutex_lock(&iotag.lock);
	memset(iotag.table, 0, sizeof(iotag.table));
	iotag.nr = 0;
	pthread_mutex_unlock(&iotag.lock);
	return 0;
}

/* Forget the processes of the last boot. */
static void iotag_life(void *state, enum sym_service_life what)
{
	if (what == SYM_SERVICE_RESET)
		verb_clear(state, 0, NULL, NULL);
}

static int iotag_init(struct sym_service_vm *vm, const char *args, void **state)
{
	int ret;

	iotag.vm = vm;
	if (*args)
		return sym_service_fail(vm, -EINVAL, "takes no arguments");
	ret = sym_service_counter(vm, "iotag_requests_total",
				  "Notifications charged to a process", &iotag.requests);
	if (!ret)
		ret = sym_service_counter(vm, "iotag_unknown_total", "Notifications not charged",
					  &iotag.unknown);
	/* The guest chooses the notification ports: hook all ports. */
	return ret ? ret : sym_service_hook(vm, SYM_EXIT_PIO, 0, 0xffff, on_doorbell);
}

static const struct sym_service_verb verbs[] = {
	{ "top", "[N]: the processes with the most disk requests", verb_top },
	{ "clear", "reset the counts", verb_clear },
	{ NULL, NULL, NULL },
};

SYM_SERVICE = {
	SYM_SERVICE_HEAD,   .name = "iotag",	.about = "disk requests by process of the guest",
	.init = iotag_init, .life = iotag_life, .verbs = verbs,
};
