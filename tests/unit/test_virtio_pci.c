// SPDX-License-Identifier: BSD-2-Clause
/* virtio.c and the PCI transport: features, status, and registers written too early or too late.
 */
#include "echo.h"

#include <linux/pci_regs.h>
#include <string.h>

static void test_frozen_after_enable(void **state)
{
	struct guest *g = *state;
	struct ring r;
	uint16_t head;

	guest_negotiate(g, 0);
	guest_ring(g, &r, 0, 8);
	guest_ring_at(g, 0, 4, 0, OUTSIDE_GPA, OUTSIDE_GPA);
	guest_reg_write(g, COMMON(queue_enable), 2, 0);
	assert_int_equal(guest_reg(g, COMMON(queue_size), 2), 8);
	assert_int_equal(guest_reg(g, COMMON(queue_desc_lo), 4), RING_GPA(0));
	assert_int_equal(guest_reg(g, COMMON(queue_avail_lo), 4), RING_GPA(0) + 0x1000);
	assert_int_equal(guest_reg(g, COMMON(queue_used_lo), 4), RING_GPA(0) + 0x2000);
	assert_int_equal(guest_reg(g, COMMON(queue_enable), 2), 1);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	head = offer_hello(&r);
	guest_kick(g, 0);
	echoed_hello(&r, head);
}

/* A queue the driver left alone stays dead after DRIVER_OK. */
static void test_frozen_after_driver_ok(void **state)
{
	struct guest *g = *state;
	struct ring r0, r1;

	guest_start(g, &r0, 0, 8);
	guest_ring(g, &r1, 1, 8);
	guest_remember(g);
	assert_int_equal(guest_reg(g, COMMON(queue_enable), 2), 0);
	offer_hello(&r1);
	guest_remember(g);
	guest_kick(g, 1);
	guest_unchanged(g);
	assert_int_equal(echo_of(g)->served, 0);
}

static void test_no_such_queue(void **state)
{
	struct guest *g = *state;

	guest_negotiate(g, 0);
	guest_ring_at(g, 2, 8, 0x4000, 0x5000, 0x6000);
	assert_int_equal(guest_reg(g, COMMON(queue_size), 2), 0);
	guest_ring_at(g, 0xffff, 8, 0x4000, 0x5000, 0x6000);
	assert_int_equal(guest_reg(g, COMMON(queue_size), 2), 0);
	assert_int_equal(guest_reg(g, COMMON(num_queues), 2), 2);
}

static void test_features_offered(void **state)
{
	struct guest *g = *state;
	uint64_t offered;

	guest_reg_write(g, COMMON(device_feature_select), 4, 0);
	offered = guest_reg(g, COMMON(device_feature), 4);
	guest_reg_write(g, COMMON(device_feature_select), 4, 1);
	offered |= guest_reg(g, COMMON(device_feature), 4) << 32;
	assert_int_equal(offered, EVENT_IDX | INDIRECT | BIT64(VIRTIO_F_VERSION_1));
	guest_reg_write(g, COMMON(device_feature_select), 4, 2);
	assert_int_equal(guest_reg(g, COMMON(device_feature), 4), 0);
}

static void test_feature_not_offered(void **state)
{
	struct guest *g = *state;

	guest_negotiate(g, BIT64(5));
	assert_false(guest_reg(g, COMMON(device_status), 1) & VIRTIO_CONFIG_S_FEATURES_OK);
}

static void test_legacy_driver(void **state)
{
	struct guest *g = *state;

	guest_reg_write(g, COMMON(device_status), 1, 0);
	guest_status_add(g, VIRTIO_CONFIG_S_FEATURES_OK); /* without VERSION_1 */
	assert_false(guest_reg(g, COMMON(device_status), 1) & VIRTIO_CONFIG_S_FEATURES_OK);
}

static void test_features_frozen(void **state)
{
	struct guest *g = *state;

	guest_negotiate(g, 0);
	guest_reg_write(g, COMMON(guest_feature_select), 4, 0);
	guest_reg_write(g, COMMON(guest_feature), 4, (uint32_t)EVENT_IDX);
	assert_int_equal(guest_reg(g, COMMON(guest_feature), 4), 0);
	assert_int_equal(g->dev->features, BIT64(VIRTIO_F_VERSION_1));
}

static void test_driver_ok_too_early(void **state)
{
	struct guest *g = *state;

	guest_reg_write(g, COMMON(device_status), 1, 0);
	guest_reg_write(g, COMMON(msix_config), 2, 0);
	guest_status_add(g, VIRTIO_CONFIG_S_DRIVER_OK);
	guest_is_broken(g, "DRIVER_OK without FEATURES_OK");
}

static void test_reset_mends(void **state)
{
	struct guest *g = *state;
	struct ring r;
	uint16_t head;

	guest_start(g, &r, EVENT_IDX | INDIRECT, 4);
	ring_offer_head(&r, 9);
	guest_kick(g, 0);
	assert_true(g->dev->broken);
	guest_reg_write(g, COMMON(device_status), 1, 0);
	assert_int_equal(guest_reg(g, COMMON(device_status), 1), 0);
	assert_int_equal(guest_reg(g, COMMON(queue_enable), 2), 0);
	assert_int_equal(guest_reg(g, COMMON(queue_desc_lo), 4), 0);
	assert_int_equal(echo_of(g)->stops, 1);
	guest_start(g, &r, 0, 8);
	assert_int_equal(echo_of(g)->starts, 2);
	head = offer_hello(&r);
	guest_kick(g, 0);
	echoed_hello(&r, head);
}

static void test_not_served_after_reset(void **state)
{
	struct guest *g = *state;
	struct ring r;

	guest_start(g, &r, 0, 8);
	offer_hello(&r);
	guest_reg_write(g, COMMON(device_status), 1, 0);
	guest_remember(g);
	guest_kick(g, 0);
	guest_unchanged(g);
}

static void test_bad_vector(void **state)
{
	struct guest *g = *state;

	guest_reg_write(g, COMMON(msix_config), 2, 3); /* there are 0 to 2 */
	assert_int_equal(guest_reg(g, COMMON(msix_config), 2), VIRTIO_MSI_NO_VECTOR);
	guest_reg_write(g, COMMON(queue_msix_vector), 2, 64);
	assert_int_equal(guest_reg(g, COMMON(queue_msix_vector), 2), VIRTIO_MSI_NO_VECTOR);
	guest_reg_write(g, COMMON(msix_config), 2, 2);
	assert_int_equal(guest_reg(g, COMMON(msix_config), 2), 2);
}

/* The guest reads pages without an exit: they must show what an exit would have given. */
static void test_shown_pages(void **state)
{
	struct guest *g = *state;
	const struct mem_region *shown = g->board.mem.pages;

	assert_int_equal(g->board.mem.nr_pages, 1);
	assert_int_equal(shown->gpa, PCI_ECAM_BASE + (1 << 15));
	guest_config_write(g, 1, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	guest_config_write(g, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	guest_config_write(g, 1, PCI_VENDOR_ID, 4, 0);
	for (unsigned int off = 0; off < 4096; off += 4) {
		uint32_t value;

		memcpy(&value, shown->host + off, 4);
		assert_int_equal(guest_config(g, 1, off, 4), value);
	}
	assert_int_equal(guest_config(g, 2, PCI_VENDOR_ID, 4), 0xffffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ECHO_TEST(test_frozen_after_enable), ECHO_TEST(test_frozen_after_driver_ok),
		ECHO_TEST(test_no_such_queue),	     ECHO_TEST(test_features_offered),
		ECHO_TEST(test_feature_not_offered), ECHO_TEST(test_legacy_driver),
		ECHO_TEST(test_features_frozen),     ECHO_TEST(test_driver_ok_too_early),
		ECHO_TEST(test_reset_mends),	     ECHO_TEST(test_not_served_after_reset),
		ECHO_TEST(test_bad_vector),	     ECHO_TEST(test_shown_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
