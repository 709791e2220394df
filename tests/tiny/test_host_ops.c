// SPDX-License-Identifier: BSD-2-Clause
/*
 * The embedding interface against a real vCPU: memory, state, running to the next exit,
 * kicks, regions.  The guest is a few instructions, so any /dev/kvm will do; without one
 * the test is skipped (status 77).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/kvm.h"
#include "core/layout.h"
#include "machine/cpuid.h"
#include "machine/vcpu.h"
#include "machine/vm.h"
#include "sym/host_ops.h"

#define CODE 0x1000

/* Real mode: write what is at ds:0x2000 to port 0x77, then turn on the spot. */
static const uint8_t code[] = { 0xa0, 0x00, 0x20, 0xe6, 0x77, 0xeb, 0xfe };

static struct vm vm = { .kvm_fd = -1, .board.vm_fd = -1, .nr_vcpus = 1, .state = VM_RUNNING };
static uint8_t port_value;

static void on_port(void *arg, uint64_t offset, uint8_t *data, unsigned int len, bool is_write)
{
	if (is_write)
		port_value = data[0];
}

static int setup(void **state)
{
	static struct bus_region port = { 0x77, 1, on_port, NULL, NULL };
	struct kvm_cpuid2 *cpuid;
	struct err err = { 0 };

	vm.kvm_fd = kvm_open(&err);
	pthread_mutex_init(&vm.lock, NULL);
	pthread_cond_init(&vm.cond, NULL);
	bus_init(&vm.board.pio);
	bus_init(&vm.board.mmio);
	bus_add(&vm.board.pio, &port);
	vm.doorbell_fd = eventfd(0, EFD_NONBLOCK);
	vm.stop_fd = eventfd(0, EFD_NONBLOCK);
	vm.board.vm_fd = ioctl(vm.kvm_fd, KVM_CREATE_VM, 0);
	cpuid = cpuid_get(vm.kvm_fd, &err);
	if (!cpuid || gmem_create(&vm.board.mem, 64 * MiB, &err) ||
	    gmem_bind(&vm.board.mem, vm.board.vm_fd, &err) || vcpu_create(&vm, 0, cpuid, &err))
		return -1;
	free(cpuid);
	return vcpu_signal_init(&err);
}

static int teardown(void **state)
{
	vcpu_destroy(vm.vcpus[0]);
	free(vm.vcpus[0]->exits);
	free(vm.vcpus[0]);
	gmem_destroy(&vm.board.mem);
	return 0;
}

static void test_table(void **state)
{
	assert_int_equal(vm_host_ops.version, SYM_HOST_OPS_VERSION);
	assert_int_equal(vm_host_ops.size, sizeof(vm_host_ops));
	assert_int_equal(vm_host_ops.nr_vcpus(&vm), 1);
	assert_ptr_equal(vm_host_ops.vcpu(&vm, 0), vm.vcpus[0]);
	assert_null(vm_host_ops.vcpu(&vm, 1));
}

static void test_memory(void **state)
{
	char buf[4] = "";

	assert_int_equal(vm_host_ops.mem_write(&vm, 0x3000, "abc", 4), 0);
	assert_int_equal(vm_host_ops.mem_read(&vm, 0x3000, buf, 4), 0);
	assert_string_equal(buf, "abc");
	assert_string_equal(vm_host_ops.mem_map(&vm, 0x3000, 4), "abc");
	assert_int_equal(vm_host_ops.mem_read(&vm, 64 * MiB - 2, buf, 4), -EFAULT);
}

static void test_run_and_state(void **state)
{
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 }, after;
	struct kvm_sregs sregs;
	struct sym_vcpu_state s = { .what = SYM_STATE_SREGS, .sregs = &sregs };
	void *vcpu = vm.vcpus[0];

	assert_int_equal(vm_host_ops.mem_write(&vm, CODE, code, sizeof(code)), 0);
	assert_int_equal(vm_host_ops.mem_write(&vm, 0x2000, "\x5a", 1), 0);
	assert_int_equal(vm_host_ops.get_state(&vm, vcpu, &s), 0);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	s.what |= SYM_STATE_REGS;
	s.regs = &regs;
	assert_int_equal(vm_host_ops.set_state(&vm, vcpu, &s), 0);
	assert_int_equal(vm_host_ops.run(&vm, vcpu), 0);
	assert_int_equal(vm_host_ops.handle_exit(&vm, vcpu), 0);
	assert_int_equal(port_value, 0x5a);
	s = (struct sym_vcpu_state){ .what = SYM_STATE_REGS, .regs = &after };
	assert_int_equal(vm_host_ops.get_state(&vm, vcpu, &s), 0);
	assert_int_equal(after.rax & 0xff, 0x5a);
}

static void *kick_later(void *arg)
{
	usleep(50000);
	vm_host_ops.kick(&vm, arg);
	return NULL;
}

/* The guest turns on the spot by now: only a kick brings it out. */
static void test_kick(void **state)
{
	struct vcpu *vcpu = vm.vcpus[0];
	pthread_t thread;

	vcpu->thread = pthread_self();
	vcpu->has_thread = true;
	assert_int_equal(pthread_create(&thread, NULL, kick_later, vcpu), 0);
	assert_int_equal(vm_host_ops.run(&vm, vcpu), -EINTR);
	pthread_join(thread, NULL);
	vcpu->has_thread = false; /* it is our own */
}

static void test_region(void **state)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_int_equal(vm_host_ops.region_add(&vm, 0x2000, 4096, page, 0), -EEXIST);
	assert_int_equal(vm_host_ops.region_add(&vm, 8 * GiB, 4096, page, 0), 0);
	assert_int_equal(vm_host_ops.region_add(&vm, 8 * GiB, 4096, page, 0), -EEXIST);
	assert_int_equal(vm_host_ops.region_del(&vm, 8 * GiB), 0);
	assert_int_equal(vm_host_ops.region_del(&vm, 8 * GiB), -ENOENT);
	munmap(page, 4096);
}

static void test_doorbell(void **state)
{
	uint64_t count = 0;

	assert_int_equal(vm_host_ops.doorbell(&vm), 0);
	assert_int_equal(read(vm.doorbell_fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	      cmocka_unit_test(test_memory),
		cmocka_unit_test(test_run_and_state), cmocka_unit_test(test_kick),
		cmocka_unit_test(test_region),	      cmocka_unit_test(test_doorbell),
	};

	if (access("/dev/kvm", R_OK | W_OK))
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
