#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Upcalls by the thousand, from every context and into every state of a vCPU, while
# programs in the guest watch their registers: on both kernels, with page-table isolation
# on and off.  SYMKIT_CALLS says how many of each kind (default 2,000).
. "$(dirname "$0")/lib.sh"

calls=${SYMKIT_CALLS:-2000}
job <<'J'
dmesg -n 5; insmod /symkit/00-symbiotic.ko && insmod /symkit/01-symtest.ko || echo "no modules"
dmesg | grep -i 'page table' | tail -n 1
echo "guest is up"
until [ -e /run/go ]; do # kicks may begin: halted first, then user mode
	sleep 3
	touch /run/go
done
bar=
for d in /sys/bus/pci/devices/*; do
	[ "$(cat $d/class)" = 0xff0000 ] && bar=$d/resource0 # the entropy device's
done
echo "$(basename "$(dirname $bar)")" >/sys/bus/pci/drivers/virtio-pci/unbind
regcheck 1000000 2 $bar >/run/log 2>&1 &
while [ ! -e /run/stop ]; do
	echo "call 0x100 200 41" >/dev/symtest && cat /dev/symtest >/run/last
	echo "irqoff port 0x99 50" >/dev/symtest
	echo "port 0x99 200" >/dev/symtest
	grep -q "last 42 errors 0" /run/last || echo "HYPERCALL WRONG: $(cat /run/last)"
	grep CHANGED /run/log
	echo turn
done
J
service() {
	symctl service test stress "$@"
}
finished() { # or the VMM has ended
	! kill -0 "$vm" || service status | grep -q ' left 0 '
}
flood() { # context
	service run "$1" "$calls" >/dev/null || fail "$2: run $1"
	wait_for $((300 + calls / 10)) finished || fail "$2: $1: $(service status)"
	service status | grep -q "done $calls left 0 bad 0 " || fail "$2: $1: $(service status)"
	echo "$2: $1: $(service status)"
}
try() { # kernel, its command line
	local name="$1 $2"
	with_programs "$1" "$top/build/tests/guest/regcheck"
	start_symbiotic "$1" --cpus 2 --cmdline "quiet $2" \
		--service "$top/build/tests/services/stress.so"
	console "guest is up" 100
	! grep -qa 'no modules' "$work/console" || fail "$name: modules"
	flood kick "$name, halted"
	console "turn" 100
	for context in kick interrupt thread; do
		flood $context "$name, busy"
	done
	service exits on >/dev/null || fail "$name: exits"
	flood kick "$name, with exits"
	flood interrupt "$name, with exits"
	service exits | grep -qE '^port [0-9]{3,} mmio [0-9]{3,} hypercall [0-9]{3,} bad 0 ' ||
		fail "$name: $(service exits)"
	echo "$name: $(service exits)"
	! grep -qa 'CHANGED\|WRONG' "$work/console" || fail "$name: registers"
	symctl stop --force --timeout 1 test >/dev/null 2>&1
	wait "$vm"
	vm=
	clean_dmesg
}
try 6.1 pti=on
try "$newest" pti=off
