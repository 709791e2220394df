#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The ways in which a guest can end are distinguished: power-off, reboot, panic with and without
# its driver, triple fault.
. "$(dirname "$0")/lib.sh"

job <<'J'
reboot -f
J
start_tiny 6.1
console 'INIT: first line' 60
symctl events test --history >"$work/events" &
for ((i = 0; i < 300; i++)); do
	[ "$(grep -ac 'INIT: first line' "$work/console")" -lt 2 ] || break
	sleep 0.2
done
[ "$(grep -ac 'INIT: first line' "$work/console")" -ge 2 ] || fail "it did not boot again"
symctl stop test --timeout 1 --force || fail "stop --force"
finish 10
expect "$status" 0 "exit status of a forced stop"
grep -q reset "$work/events" || fail "no reset event: $(cat "$work/events")"
echo "reboot: ok"

job <<'J'
sleep 3
echo c >/proc/sysrq-trigger
J
start_tiny "$newest"
console 'INIT: first line' 60
symctl events test --history >"$work/events" &
finish 60
expect "$status" 10 "exit status of a panic"
grep -q 'kernel panic: sysrq triggered crash' "$work/stderr" || fail "the panic's reason is lost"
wait
grep -q panic "$work/events" || fail "no panic event: $(cat "$work/events")"
echo "panic, with pvpanic: ok"

start vmlinuz-6.1 --cmdline "quiet root=/dev/nothing"
finish 60
expect "$status" 10 "exit status of an early panic"
grep -q 'kernel panic: VFS' "$work/stderr" || fail "the early panic's reason is lost"
echo "panic before any driver: ok"

job <<'J'
reboot -f
J
start_tiny 6.1 --cmdline "quiet reboot=t"
finish 60
expect "$status" 11 "exit status of a triple fault"
echo "triple fault: ok"
