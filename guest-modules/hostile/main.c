// SPDX-License-Identifier: GPL-2.0
/*
 * symhostile.ko violates the rules of the symbiotic interface, for the tests of the VMM.
 * A line "COMMAND [NUMBER]" written to /dev/symhostile violates one; reading it then returns
 * the result.  symbiotic.ko must not be loaded at the same time.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/processor.h>

#include "hostile.h"

static DEFINE_MUTEX(hostile_lock);
static char hostile_result[160] = "nothing yet\n";

static const struct hostile_command *hostile_find(const struct hostile_command *table,
						  const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table;
	return NULL;
}

static int hostile_do(char *line)
{
	const struct hostile_command *command;
	char name[32];
	u64 arg = 0;
	long ret;

	if (sscanf(line, "%31s %lli", name, &arg) < 1)
		return -EINVAL;
	command = hostile_find(hostile_pages, name) ?: hostile_find(hostile_calls, name);
	if (!command)
		return -EINVAL;
	hostile.refused = 0;
	hostile.accepted = 0;
	ret = command->fn(arg);
	snprintf(hostile_result, sizeof(hostile_result),
		 "%s: %ld refused %u accepted %u runs %u\n", name, ret, hostile.refused,
		 hostile.accepted, READ_ONCE(hostile_runs));
	return 0;
}

static ssize_t hostile_write(struct file *file, const char __user *user, size_t len, loff_t *at)
{
	char line[80];
	int err;

	if (len >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, user, len))
		return -EFAULT;
	line[len] = 0;
	mutex_lock(&hostile_lock);
	err = hostile_do(line);
	mutex_unlock(&hostile_lock);
	return err ?: len;
}

static ssize_t hostile_read(struct file *file, char __user *user, size_t len, loff_t *at)
{
	ssize_t ret;

	mutex_lock(&hostile_lock);
	ret = simple_read_from_buffer(user, len, at, hostile_result, strlen(hostile_result));
	mutex_unlock(&hostile_lock);
	return ret;
}

static const struct file_operations hostile_operations = {
	.owner = THIS_MODULE,
	.write = hostile_write,
	.read = hostile_read,
};

static struct miscdevice hostile_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "symhostile",
	.mode = 0600,
	.fops = &hostile_operations,
};

static int __init hostile_init(void)
{
	u32 base, version, port;
	int err;

	base = cpuid_base_hypervisor(SYM_CPUID_SIGNATURE, SYM_CPUID_FEATURES);
	if (!base)
		return -ENODEV;
	cpuid(base + SYM_CPUID_FEATURES, &version, &hostile.offered, &hostile.msr, &port);
	err = hostile_alloc();
	if (!err)
		err = misc_register(&hostile_device);
	if (err)
		hostile_free();
	return err;
}

static void __exit hostile_exit(void)
{
	misc_deregister(&hostile_device);
	hostile_leave();
	hostile_free();
}

module_init(hostile_init);
module_exit(hostile_exit);
MODULE_DESCRIPTION("Breaks the rules of the symbiotic interface, for its tests");
MODULE_LICENSE("GPL");
