#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# guests.sh [KERNEL...]: what a symbiotic guest's kernel module does for its users: no user can take all the places
# for values, and the owner of the VM can wake a guest that sleeps.
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- "$newest"

for version in "$@"; do
	job <<'J'
dmesg -n 5
insmod /symkit/00-symbiotic.ko
valueshare
touch /run/symjob-stay
echo SLEEPING
echo freeze >/sys/power/state
echo AWAKE
valueshare
J
	rm -f "$work/initrd"
	with_programs $version "$top/build/tests/guest/valueshare"
	start_symbiotic $version --cmdline quiet
	console SLEEPING 100
	expect "$(grep -a '^values:' "$work/console" | tr -d '\r')" "values: 16 16 8 8" "shares"
	sleep 5
	! grep -qa AWAKE "$work/console" || fail "it did not sleep"
	# No program in the guest handles the button, so it does not shut down.
	symctl stop test --timeout 1 >"$work/out" 2>&1 && fail "it was stopped by the button"
	console AWAKE 30
	wait_for 20 grep -qa "^SYMJOB: exit 0" "$work/console" || fail "the job did not end"
	# The interface is there again after the sleep, with its places free.
	expect "$(grep -ac '^values: 16 16 8 8' "$work/console")" 2 "shares after the sleep"
	clean_dmesg
	echo "$version: values shared, woken"
	symctl stop test --force --timeout 1 >/dev/null || fail "stop --force"
	finish 20
done
