// SPDX-License-Identifier: GPL-2.0
/*
 * Running one of the guest's own programs: its module loader knows how modules are checked
 * in this guest, and reports why it rejects one.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/umh.h>

#include "symbiotic.h"

struct sym_helper {
	struct file *input;
	struct file *output;
	bool loads; /* loads modules that the VMM installs */
	unsigned long most; /* jiffies that it may take; 0: no limit */
	struct pid *pid; /* of the program, once it exists */
	struct delayed_work end;
	bool ended; /* killed by us: it took too long */
};

static int sym_helper_fd(struct file *file, int want)
{
	int fd = get_unused_fd_flags(0);

	if (fd < 0)
		return fd;
	fd_install(fd, get_file(file));
	return fd == want ? 0 : -EBADF;
}

/* In the new process, before it becomes the program. */
static int sym_helper_init(struct subprocess_info *info, struct cred *cred)
{
	struct sym_helper *helper = info->data;
	int err;

	err = sym_helper_fd(helper->input ?: helper->output, 0);
	if (!err)
		err = sym_helper_fd(helper->output, 1);
	if (!err)
		err = sym_helper_fd(helper->output, 2);
	if (!err && helper->loads)
		sym_modules_expect(current->tgid);
	smp_store_release(&helper->pid, get_pid(task_tgid(current)));
	return err;
}

/* Kill only the program itself.  If it cannot be killed now, wait for it, as the kernel does. */
static void sym_helper_end(struct work_struct *work)
{
	struct sym_helper *helper = container_of(to_delayed_work(work), struct sym_helper, end);
	struct pid *pid = smp_load_acquire(&helper->pid);

	if (!pid) { /* the machine is busy, and it has not started */
		schedule_delayed_work(&helper->end, HZ);
		return;
	}
	helper->ended = true;
	kill_pid(pid, SIGKILL, 1);
}

/* Start it and wait until it has ended. */
static int sym_helper_wait(struct subprocess_info *info, struct sym_helper *helper)
{
	int ret;

	INIT_DELAYED_WORK_ONSTACK(&helper->end, sym_helper_end);
	if (helper->most)
		schedule_delayed_work(&helper->end, helper->most);
	ret = call_usermodehelper_exec(info, UMH_WAIT_PROC);
	cancel_delayed_work_sync(&helper->end);
	destroy_delayed_work_on_stack(&helper->end);
	put_pid(helper->pid);
	helper->pid = NULL;
	return ret;
}

static int sym_helper_exec(const char *folder, const char *const *argv, struct sym_helper *helper)
{
	static char *env[] = { "HOME=/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	struct subprocess_info *info;
	char *path;
	int ret = -ENOMEM;

	path = kasprintf(GFP_KERNEL, "%s/%s", folder, argv[0]);
	if (!path)
		return ret;
	info = call_usermodehelper_setup(path, (char **)argv, env, GFP_KERNEL, sym_helper_init,
					 NULL, helper);
	if (info)
		ret = sym_helper_wait(info, helper);
	if (helper->loads)
		sym_modules_expect(0);
	kfree(path);
	return ret;
}

/* Read its output, without the last newline. */
static void sym_helper_said(struct file *output, char *text, size_t size)
{
	loff_t at = 0;
	ssize_t len = kernel_read(output, text, size - 1, &at);

	text[max_t(ssize_t, len, 0)] = 0;
	strim(text);
}

static int sym_helper_do(struct sym_helper *helper, const char *const *argv, char *text,
			 size_t size)
{
	static const char *const folders[] = { "/sbin", "/usr/sbin", "/bin" };
	int i, ret = -ENOENT;

	*text = 0;
	helper->output = shmem_file_setup("symbiotic", size, SYM_SHMEM_NORESERVE);
	if (IS_ERR(helper->output))
		return PTR_ERR(helper->output);
	for (i = 0; i < ARRAY_SIZE(folders) && ret == -ENOENT; i++)
		ret = sym_helper_exec(folders[i], argv, helper);
	if (ret > 0) {
		sym_helper_said(helper->output, text, size);
		ret = helper->ended ? -ETIMEDOUT : -EIO;
	}
	fput(helper->output);
	return ret;
}

int sym_helper_run(const char *const *argv, struct file *input, char *text, size_t size)
{
	/* Only the module loader has an input. */
	struct sym_helper helper = { .input = input, .loads = input };

	return sym_helper_do(&helper, argv, text, size);
}
EXPORT_SYMBOL_GPL(sym_helper_run);

int sym_helper_load(const char *const *argv, unsigned int ms, char *text, size_t size)
{
	struct sym_helper helper = { .loads = true, .most = msecs_to_jiffies(ms) };

	return sym_helper_do(&helper, argv, text, size);
}
