// SPDX-License-Identifier: GPL-2.0
/* /dev/symbiotic, for programs of any user. */
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/miscdevice.h>
#include <linux/uaccess.h>

#include "symbiotic.h"

static_assert(SYM_DEV_SET != SYM_DEV_CLEAR); /* abi.h found linux/ioctl.h */

static long sym_dev_get(struct sym_dev_value *value)
{
	int ret;

	memset(value->value, 0, sizeof(value->value));
	ret = sym_host_value(value->name, value->value, sizeof(value->value));
	if (ret < 0)
		return ret;
	value->len = ret;
	value->reserved = 0;
	return 0;
}

static long sym_dev_info(void __user *to)
{
	struct sym_dev_info info = {
		.version = SYM_ABI_VERSION,
		.features = sym_features(),
		.generation = READ_ONCE(sym_vmm.generation),
	};

	if (!info.features)
		return -ENODEV;
	sym_host_vm(&info.vm);
	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : 0;
}

static long sym_dev_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct sym_dev_value value;
	long ret;

	if (command == SYM_DEV_INFO)
		return sym_dev_info(user);
	if (command != SYM_DEV_SET && command != SYM_DEV_CLEAR && command != SYM_DEV_GET)
		return -ENOTTY;
	if (copy_from_user(&value, user, sizeof(value)))
		return -EFAULT;
	if (strnlen(value.name, sizeof(value.name)) == sizeof(value.name))
		return -EINVAL;
	if (command == SYM_DEV_CLEAR)
		return sym_value_drop(file, true, value.name);
	if (command == SYM_DEV_SET)
		return sym_value_put(file, true, value.name, value.value, value.len);
	ret = sym_dev_get(&value);
	if (!ret && copy_to_user(user, &value, sizeof(value)))
		ret = -EFAULT;
	return ret;
}

static int sym_dev_release(struct inode *inode, struct file *file)
{
	sym_values_forget(file);
	return 0;
}

static const struct file_operations sym_dev_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = sym_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = sym_dev_release,
};

static struct miscdevice sym_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "symbiotic",
	.mode = 0666,
	.fops = &sym_dev_operations,
};

int sym_dev_init(void)
{
	return misc_register(&sym_dev);
}

void sym_dev_exit(void)
{
	misc_deregister(&sym_dev);
}
