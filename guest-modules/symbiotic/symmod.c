// SPDX-License-Identifier: GPL-2.0
/* The handlers by which the VMM loads modules into the guest, all in thread context. */
#include <linux/ctype.h>
#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kmod.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "symbiotic.h"

#define SYM_MOD_FILE   "/proc/self/fd/0" /* opened by helper.c */
#define SYM_MOD_MS_MAX 60000 /* for modprobe */

static DEFINE_MUTEX(sym_mod_lock);

/* A copy of the payload as NUL-terminated text, or ERR_PTR. */
static char *sym_mod_text(const struct sym_upcall *call)
{
	return kmemdup_nul(call->payload, call->payload_len, GFP_KERNEL) ?: ERR_PTR(-ENOMEM);
}

static bool sym_mod_name_ok(const char *name)
{
	const char *c;

	for (c = name; *c; c++)
		if (!isalnum(*c) && *c != '_' && *c != '-')
			return false;
	return c != name && c - name < SYM_NAME_LEN && *name != '-';
}

/* The payload as a module's name. */
static char *sym_mod_name(const struct sym_upcall *call)
{
	char *name = sym_mod_text(call);

	if (!IS_ERR(name) && !sym_mod_name_ok(name)) {
		kfree(name);
		return ERR_PTR(-EINVAL);
	}
	return name;
}

static int sym_mod_need(void *arg, struct sym_upcall *call)
{
	char *name = sym_mod_name(call);
	int ret;

	if (IS_ERR(name))
		return PTR_ERR(name);
	ret = request_module("%s", name);
	kfree(name);
	return ret > 0 ? -ENOENT : ret; /* modprobe's exit status, or an errno */
}

static int sym_mod_begin(void *arg, struct sym_upcall *call)
{
	char *name = sym_mod_name(call);
	int ret;

	if (IS_ERR(name))
		return PTR_ERR(name);
	mutex_lock(&sym_mod_lock);
	ret = sym_transfer_begin(name, call->arg[0], call->arg[1], &call->result[0]);
	mutex_unlock(&sym_mod_lock);
	kfree(name);
	return ret;
}

static int sym_mod_data(void *arg, struct sym_upcall *call)
{
	int ret;

	mutex_lock(&sym_mod_lock);
	ret = sym_transfer_data(call->arg[0], call->payload, call->payload_len);
	mutex_unlock(&sym_mod_lock);
	return ret;
}

/* The loader's output has SYM_MOD_FILE in it: replace that by the module's name. */
static void sym_mod_rename(char *text, const char *name)
{
	char *at = strstr(text, SYM_MOD_FILE);
	const char *rest;

	/* A longer name might not fit into the text. */
	if (!at || strlen(name) > strlen(SYM_MOD_FILE))
		return;
	rest = at + strlen(SYM_MOD_FILE);
	memcpy(at, name, strlen(name));
	memmove(at + strlen(name), rest, strlen(rest) + 1);
}

static void sym_mod_reply(struct sym_upcall *call, const char *text)
{
	call->reply_len = strlen(text);
	memcpy(call->payload, text, call->reply_len);
}

/* Run a program; its output goes into the reply. */
static int sym_mod_run(const char *const *argv, struct file *input, struct sym_upcall *call)
{
	char *text = kzalloc(SYM_CALL_PAYLOAD, GFP_KERNEL);
	int ret;

	if (!text)
		return -ENOMEM;
	ret = sym_helper_run(argv, input, text, SYM_CALL_PAYLOAD);
	if (input)
		sym_mod_rename(text, input->f_path.dentry->d_name.name);
	sym_mod_reply(call, text);
	kfree(text);
	return ret;
}

/* The loader's command line: its name, the file, and the parameters. */
static const char **sym_mod_argv(char **parameters, int count)
{
	const char **argv = kcalloc(count + 3, sizeof(*argv), GFP_KERNEL);

	if (!argv)
		return NULL;
	argv[0] = "insmod";
	argv[1] = SYM_MOD_FILE;
	memcpy(argv + 2, parameters, count * sizeof(*argv));
	return argv;
}

static int sym_mod_insert(char **parameters, int count, struct sym_upcall *call)
{
	const char **argv = sym_mod_argv(parameters, count);
	struct file *file;
	int ret;

	if (!argv)
		return -ENOMEM;
	mutex_lock(&sym_mod_lock);
	file = sym_transfer_file();
	ret = PTR_ERR_OR_ZERO(file);
	if (!ret) {
		ret = sym_mod_run(argv, file, call);
		fput(file);
	}
	mutex_unlock(&sym_mod_lock);
	kfree(argv);
	return ret;
}

static int sym_mod_install(void *arg, struct sym_upcall *call)
{
	char *text = sym_mod_text(call);
	char **parameters;
	int ret = -ENOMEM, count;

	if (IS_ERR(text))
		return PTR_ERR(text);
	parameters = argv_split(GFP_KERNEL, text, &count);
	if (parameters) {
		ret = sym_mod_insert(parameters, count, call);
		argv_free(parameters);
	}
	kfree(text);
	return ret;
}

/* "--": parameters are not options of modprobe. */
static int sym_mod_modprobe(char **words, int count, unsigned int ms, struct sym_upcall *call)
{
	const char **argv = kcalloc(count + 3, sizeof(*argv), GFP_KERNEL);
	char *text = kzalloc(SYM_CALL_PAYLOAD, GFP_KERNEL);
	int ret = -ENOMEM;

	if (argv && text) {
		argv[0] = "modprobe";
		argv[1] = "--";
		memcpy(argv + 2, words, count * sizeof(*argv));
		mutex_lock(&sym_mod_lock);
		ret = sym_helper_load(argv, ms, text, SYM_CALL_PAYLOAD);
		mutex_unlock(&sym_mod_lock);
		sym_mod_reply(call, text);
	}
	kfree(text);
	kfree(argv);
	return ret;
}

static int sym_mod_load(void *arg, struct sym_upcall *call)
{
	unsigned int ms = clamp_t(u64, call->arg[0], 1, SYM_MOD_MS_MAX);
	char *text = sym_mod_text(call);
	int ret = -ENOMEM, count;
	char **words;

	if (IS_ERR(text))
		return PTR_ERR(text);
	words = argv_split(GFP_KERNEL, text, &count);
	if (words) {
		ret = -EINVAL;
		if (count && sym_mod_name_ok(words[0]))
			ret = sym_mod_modprobe(words, count, ms, call);
		argv_free(words);
	}
	kfree(text);
	return ret;
}

static int sym_mod_remove(void *arg, struct sym_upcall *call)
{
	char *name = sym_mod_name(call);
	const char *argv[] = { "rmmod", name, NULL };
	int ret;

	if (IS_ERR(name))
		return PTR_ERR(name);
	/* Unloading this module would wait for this call to end. */
	if (!strcmp(name, KBUILD_MODNAME))
		ret = -EBUSY;
	else
		ret = sym_mod_run(argv, NULL, call);
	kfree(name);
	return ret;
}

static const struct {
	const char *name;
	sym_handler_fn fn;
} sym_mod_table[] = {
	{ SYM_MOD_NEED, sym_mod_need },	    { SYM_MOD_BEGIN, sym_mod_begin },
	{ SYM_MOD_DATA, sym_mod_data },	    { SYM_MOD_INSTALL, sym_mod_install },
	{ SYM_MOD_REMOVE, sym_mod_remove }, { SYM_MOD_LOAD, sym_mod_load },
};

static struct sym_handler *sym_mod_handlers[ARRAY_SIZE(sym_mod_table)];

int sym_mod_init(void)
{
	struct sym_handler *handler;
	int i;

	if (!(sym_vmm.offered & SYM_FEATURE_MODULES))
		return 0;
	for (i = 0; i < ARRAY_SIZE(sym_mod_table); i++) {
		handler = sym_handler_register(sym_mod_table[i].name, SYM_CONTEXT_THREAD,
					       sym_mod_table[i].fn, NULL);
		if (IS_ERR(handler)) {
			sym_mod_exit();
			return PTR_ERR(handler);
		}
		sym_mod_handlers[i] = handler;
	}
	return 0;
}

void sym_mod_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sym_mod_table); i++) {
		sym_handler_unregister(sym_mod_handlers[i]);
		sym_mod_handlers[i] = NULL;
	}
	sym_transfer_drop();
}
