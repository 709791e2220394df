// SPDX-License-Identifier: BSD-2-Clause
/*
 * A complete VMM that embeds the symbiotic interface: one vCPU, one console port, no other
 * device.  It boots the kernel in guest.c and calls its handlers.  The parts that a VMM adds
 * for the interface are marked [1] to [7]; docs/embedding.md explains them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "sym/host.h"

#define MEMORY	    (4u << 20)
#define KERNEL_GPA  0x100000u
#define KERNEL_BASE 0xffffffff80000000ull
#define CONSOLE	    0x3f8
#define CPUID_MAX   256

extern const char kernel_image[], kernel_image_end[]; /* guest.c, see image.S */

struct vm {
	int kvm, fd, vcpu;
	uint8_t *mem;
	struct kvm_run *run;
	pthread_t thread;
	int kicked, quit;
	struct sym *sym;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool ready;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* [1] The ops: the functions of this VMM that the interface calls. */

static void *op_map(void *vm, uint64_t gpa, size_t len)
{
	return gpa < MEMORY && len <= MEMORY - gpa ? ((struct vm *)vm)->mem + gpa : NULL;
}

static int op_read(void *vm, uint64_t gpa, void *dst, size_t len)
{
	const void *src = op_map(vm, gpa, len);

	return src ? memcpy(dst, src, len), 0 : -EFAULT;
}

static int op_write(void *vm, uint64_t gpa, const void *src, size_t len)
{
	void *dst = op_map(vm, gpa, len);

	return dst ? memcpy(dst, src, len), 0 : -EFAULT;
}

static int op_get_state(void *arg, void *vcpu, struct sym_vcpu_state *s)
{
	struct vm *vm = arg;
	struct kvm_mp_state mp = { 0 };

	if ((s->what & SYM_STATE_REGS && ioctl(vm->vcpu, KVM_GET_REGS, s->regs)) ||
	    (s->what & SYM_STATE_SREGS && ioctl(vm->vcpu, KVM_GET_SREGS, s->sregs)) ||
	    (s->what & SYM_STATE_EVENTS && ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, s->events)) ||
	    (s->what & SYM_STATE_MP && ioctl(vm->vcpu, KVM_GET_MP_STATE, &mp)))
		return -errno;
	s->mp_state = mp.mp_state;
	return 0;
}

static int op_set_state(void *arg, void *vcpu, const struct sym_vcpu_state *s)
{
	struct vm *vm = arg;
	struct kvm_mp_state mp = { s->mp_state };

	if ((s->what & SYM_STATE_REGS && ioctl(vm->vcpu, KVM_SET_REGS, s->regs)) ||
	    (s->what & SYM_STATE_SREGS && ioctl(vm->vcpu, KVM_SET_SREGS, s->sregs)) ||
	    (s->what & SYM_STATE_EVENTS && ioctl(vm->vcpu, KVM_SET_VCPU_EVENTS, s->events)) ||
	    (s->what & SYM_STATE_MP && ioctl(vm->vcpu, KVM_SET_MP_STATE, &mp)))
		return -errno;
	return 0;
}

static int op_run(void *arg, void *vcpu)
{
	struct vm *vm = arg;

	/* In this order no kick is lost: a kick after this makes KVM_RUN return. */
	__atomic_store_n(&vm->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vm->quit, __ATOMIC_SEQ_CST))
		return -ESHUTDOWN;
	if (__atomic_exchange_n(&vm->kicked, 0, __ATOMIC_SEQ_CST))
		return -EINTR;
	if (!ioctl(vm->vcpu, KVM_RUN, 0))
		return 0;
	return errno == EINTR ? -EINTR : -ESHUTDOWN;
}

static int op_flush(void *arg, void *vcpu)
{
	struct vm *vm = arg;

	__atomic_store_n(&vm->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	return ioctl(vm->vcpu, KVM_RUN, 0) ? -errno : 0;
}

static int op_kick(void *arg, void *vcpu)
{
	struct vm *vm = arg;

	__atomic_store_n(&vm->kicked, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&vm->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	return -pthread_kill(vm->thread, SIGUSR1);
}

static int op_handle_exit(void *arg, void *vcpu)
{
	struct vm *vm = arg;
	const struct kvm_run *run = vm->run;

	if (run->exit_reason != KVM_EXIT_IO || run->io.port != CONSOLE) {
		fprintf(stderr, "embed: exit %u\n", run->exit_reason);
		vm->quit = 1;
	} else {
		fwrite((const char *)run + run->io.data_offset, 1, run->io.count, stdout);
	}
	return 0;
}

/* No interrupt controller, so no doorbell is offered; no regions are added. */
static int op_doorbell(void *vm)
{
	return -EOPNOTSUPP;
}

static int op_region_add(void *vm, uint64_t gpa, uint64_t size, void *host, uint32_t flags)
{
	return -EOPNOTSUPP;
}

static int op_region_del(void *vm, uint64_t gpa)
{
	return -EOPNOTSUPP;
}

static unsigned int op_nr_vcpus(void *vm)
{
	return 1;
}

static void *op_vcpu(void *vm, unsigned int id)
{
	return vm;
}

static const struct sym_host_ops ops = {
	.version = SYM_HOST_OPS_VERSION,
	.size = sizeof(ops),
	.mem_read = op_read,
	.mem_write = op_write,
	.mem_map = op_map,
	.get_state = op_get_state,
	.set_state = op_set_state,
	.run = op_run,
	.handle_exit = op_handle_exit,
	.flush = op_flush,
	.kick = op_kick,
	.region_add = op_region_add,
	.region_del = op_region_del,
	.doorbell = op_doorbell,
	.nr_vcpus = op_nr_vcpus,
	.vcpu = op_vcpu,
};

static void on_event(void *arg, const struct sym_event *event)
{
	struct vm *vm = arg;

	pthread_mutex_lock(&vm->lock);
	vm->ready |= event->type == SYM_EVENT_READY;
	pthread_cond_signal(&vm->cond);
	pthread_mutex_unlock(&vm->lock);
}

/* 64-bit mode, with the kernel's 2 MiB mapped where it was linked. */
static void start_state(struct vm *vm)
{
	uint64_t *tables = (uint64_t *)(vm->mem + 0x1000);
	struct kvm_regs regs = { .rip = KERNEL_BASE + KERNEL_GPA,
				 .rflags = 2,
				 .rsp = KERNEL_BASE + KERNEL_GPA - 8 };
	struct kvm_sregs sregs;

	tables[511] = 0x2000 | 3;
	tables[512 + 510] = 0x3000 | 3;
	tables[1024] = 0x83;
	tables[1025] = 2 << 20 | 0x83;
	if (ioctl(vm->vcpu, KVM_GET_SREGS, &sregs))
		die("KVM_GET_SREGS");
	sregs.cs = (struct kvm_segment){
		.limit = ~0u, .selector = 0x10, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1
	};
	sregs.ss = (struct kvm_segment){
		.limit = ~0u, .selector = 0x18, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	sregs.ds = sregs.es = sregs.ss;
	sregs.gs.base = KERNEL_BASE;
	sregs.cr3 = 0x1000;
	sregs.cr4 = 1 << 5;
	sregs.efer = 0x500;
	sregs.cr0 = 0x80010033;
	if (ioctl(vm->vcpu, KVM_SET_SREGS, &sregs) || ioctl(vm->vcpu, KVM_SET_REGS, &regs))
		die("KVM_SET_SREGS");
}

static void create(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = calloc(1,
					  sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	struct kvm_userspace_memory_region ram = { .memory_size = MEMORY };
	/* [2] The features offered to the guest. */
	struct sym_config config = { .size = sizeof(config),
				     .name = "embed",
				     .uuid = "",
				     .features = SYM_FEATURE_SPY | SYM_FEATURE_CALL,
				     .event = on_event,
				     .arg = vm };

	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		die("/dev/kvm");
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	vm->mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!cpuid || vm->fd < 0 || vm->mem == MAP_FAILED)
		die("a VM");
	ram.userspace_addr = (uintptr_t)vm->mem;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &ram))
		die("KVM_SET_USER_MEMORY_REGION");
	memcpy(vm->mem + KERNEL_GPA, kernel_image, kernel_image_end - kernel_image);

	config.sync_regs = ioctl(vm->kvm, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
	/* [3] Create the interface once; attach its MSRs on each KVM VM. */
	if (sym_create(&ops, vm, &config, &vm->sym) || sym_attach(vm->sym, vm->fd))
		die("the symbiotic interface");

	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	vm->run = mmap(NULL, ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		       MAP_SHARED, vm->vcpu, 0);
	cpuid->nent = CPUID_MAX;
	/* [4] Add its leaves to each vCPU's CPUID. */
	if (vm->run == MAP_FAILED || ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) ||
	    sym_cpuid(vm->sym, cpuid, CPUID_MAX) || ioctl(vm->vcpu, KVM_SET_CPUID2, cpuid))
		die("a vCPU");
	free(cpuid);
	start_state(vm);
}

static void *vcpu_thread(void *arg)
{
	struct vm *vm = arg;
	int ret;

	while ((ret = op_run(vm, vm)) != -ESHUTDOWN)
		/* [5] First in the exit loop. */
		if (!sym_handle_exit(vm->sym, 0, vm->run, ret) && !ret)
			op_handle_exit(vm, vm);
	return NULL;
}

static bool wait_ready(struct vm *vm)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&vm->lock);
	while (!vm->ready && !pthread_cond_timedwait(&vm->cond, &vm->lock, &until))
		;
	pthread_mutex_unlock(&vm->lock);
	return vm->ready;
}

/* [6] Call the guest: look up the number of the handler, then call it. */
static int upcall(struct vm *vm, const char *name, uint64_t a, uint64_t b, uint64_t *result)
{
	struct sym_item_handler handler;
	struct sym_call call = { .context = SYM_CONTEXT_KICK, .arg = { a, b } };
	int ret = sym_handler_find(vm->sym, name, &handler);

	call.handler = handler.number;
	if (!ret)
		ret = sym_call_wait(vm->sym, 0, &call);
	*result = call.value[0];
	return ret;
}

static void on_signal(int sig)
{
}

int main(void)
{
	static struct vm vm = { .lock = PTHREAD_MUTEX_INITIALIZER,
				.cond = PTHREAD_COND_INITIALIZER };
	struct sigaction sa = { .sa_handler = on_signal };
	struct sym_item_task task;
	uint64_t sum = 0, before = 0, after = 0;

	sigaction(SIGUSR1, &sa, NULL);
	create(&vm);
	if (pthread_create(&vm.thread, NULL, vcpu_thread, &vm))
		die("a thread");
	if (!wait_ready(&vm) || upcall(&vm, "example.add", 2, 3, &sum) ||
	    upcall(&vm, "example.turns", 0, 0, &before) || usleep(20000) ||
	    upcall(&vm, "example.turns", 0, 0, &after) || sym_spy_task(vm.sym, 0, &task)) {
		fprintf(stderr, "embed: the guest does not answer\n");
		return 1;
	}
	printf("host: 2 + 3 = %llu in the guest, which runs \"%.16s\", %s\n",
	       (unsigned long long)sum, task.comm, after > before ? "on and on" : "no more");

	/* [7] Destroy everything, the vCPU's thread first. */
	__atomic_store_n(&vm.quit, 1, __ATOMIC_SEQ_CST);
	op_kick(&vm, &vm);
	pthread_join(vm.thread, NULL);
	sym_destroy(vm.sym);
	return sum == 5 && after > before ? 0 : 1;
}
