// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/symtest: exits from kernel mode.  root writes a line:
 *
 *	call NR COUNT [A [B [C]]]	COUNT hypercalls
 *	port PORT COUNT			write a byte to a port, COUNT times
 *	host NAME			look up what a service shows
 *
 * With "irqoff" in front, interrupts are off.  Reading returns
 * "last RESULT errors COUNT ns TIME": the last result, how many were negative, and the time
 * that all of it took.
 */
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <symkit/kernel.h>

#include "symtest.h"

#define SYMTEST_IRQOFF_MAX 10000 /* so that no watchdog triggers */

static DEFINE_MUTEX(symtest_lock);
static char symtest_result[160] = "nothing yet\n";

struct symtest_job {
	bool port, irqoff;
	u32 nr;
	u64 count, arg[3];
};

static int symtest_parse(char *line, struct symtest_job *job)
{
	line = strim(line);
	if (str_has_prefix(line, "irqoff ")) {
		job->irqoff = true;
		line = skip_spaces(line + strlen("irqoff "));
	}
	if (sscanf(line, "port %i %llu", &job->nr, &job->count) == 2)
		job->port = true;
	else if (sscanf(line, "call %i %llu %lli %lli %lli", &job->nr, &job->count, &job->arg[0],
			&job->arg[1], &job->arg[2]) < 2)
		return -EINVAL;
	return job->irqoff && job->count > SYMTEST_IRQOFF_MAX ? -ERANGE : 0;
}

static long symtest_one(const struct symtest_job *job)
{
	if (!job->port)
		return sym_hypercall(job->nr, job->arg[0], job->arg[1], job->arg[2]);
	outb(0, job->nr);
	return 0;
}

static int symtest_run(const struct symtest_job *job)
{
	unsigned long flags = 0;
	u64 i, start, errors = 0;
	long last = 0;

	if (job->irqoff)
		local_irq_save(flags);
	start = ktime_get_ns();
	for (i = 0; i < job->count; i++) {
		last = symtest_one(job);
		errors += last < 0;
		if (!job->irqoff && i % 1024 == 1023)
			cond_resched();
	}
	if (job->irqoff)
		local_irq_restore(flags);
	snprintf(symtest_result, sizeof(symtest_result), "last %ld errors %llu ns %llu\n", last,
		 errors, ktime_get_ns() - start);
	return 0;
}

static int symtest_host(const char *name)
{
	u8 value[SYM_VALUE_MAX];
	int ret = sym_host_value(name, value, sizeof(value));

	snprintf(symtest_result, sizeof(symtest_result), "last %d value %*phN\n", ret,
		 clamp(ret, 0, (int)sizeof(value)), value);
	return 0;
}

static ssize_t symtest_write(struct file *file, const char __user *user, size_t len, loff_t *at)
{
	struct symtest_job job = {};
	char line[128];
	int err;

	if (len >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, user, len))
		return -EFAULT;
	line[len] = 0;
	mutex_lock(&symtest_lock);
	if (str_has_prefix(line, "host ")) {
		err = symtest_host(strim(line + strlen("host ")));
	} else {
		err = symtest_parse(line, &job);
		if (!err)
			err = symtest_run(&job);
	}
	mutex_unlock(&symtest_lock);
	return err ?: len;
}

static ssize_t symtest_read(struct file *file, char __user *user, size_t len, loff_t *at)
{
	ssize_t ret;

	mutex_lock(&symtest_lock);
	ret = simple_read_from_buffer(user, len, at, symtest_result, strlen(symtest_result));
	mutex_unlock(&symtest_lock);
	return ret;
}

static const struct file_operations symtest_operations = {
	.owner = THIS_MODULE,
	.write = symtest_write,
	.read = symtest_read,
};

static struct miscdevice symtest_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "symtest",
	.mode = 0600,
	.fops = &symtest_operations,
};

int symtest_exits_init(void)
{
	return misc_register(&symtest_device);
}

void symtest_exits_exit(void)
{
	misc_deregister(&symtest_device);
}
