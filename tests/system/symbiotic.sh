#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# symbiotic.sh [KERNEL...]: the symbiotic interface with a Linux guest: discovery, where there is
# no VMM for it too, SymSpy, upcalls in each context and their errors, values of programs,
# and new generations by reload and reboot.
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- "$oldest" "$newest"

# Another hypervisor, and this VMM with the interface off: one line, and no module.
cat >"$work/alone" <<'J'
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox dmesg -n 1
/bin/busybox insmod /symkit/00-symbiotic.ko
echo "insmod said $?"
/bin/busybox dmesg | /bin/busybox grep 'symbiotic: ' | /bin/busybox grep -v taint
echo "alone is done"
/bin/busybox reboot -f
J
alone() { # version: the kernel under QEMU, with /init from above
	with_programs "$1" /bin/true
	mkdir -p "$work/root/symkit"
	cp "$top/build/modules/$(cat "$guest/release-$1")/symbiotic.ko" \
		"$work/root/symkit/00-symbiotic.ko"
	cp "$work/alone" "$work/root/init"
	chmod 755 "$work/root/init"
	cp "$guest/tiny-initrd-$1" "$work/initrd"
	truncate -s %4 "$work/initrd"
	(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >>"$work/initrd"
}
one_line() {
	# busybox tries twice, in two ways; both print the line.
	expect "$(grep -a 'symbiotic: ' "$work/console" | sed 's/.*symbiotic: //' | sort | uniq |
		wc -l)" 1 "$1: lines of the module"
	grep -qa 'symbiotic: no symbiotic VMM found' "$work/console" || fail "$1: its line"
	grep -qa 'No such device' "$work/console" || fail "$1: not ENODEV"
}
for version in "$@"; do
	at_length "$version" || continue
	alone "$version"
	timeout 100 qemu-system-x86_64 -M microvm,rtc=on -accel kvm -cpu host -m 256M -nographic \
		-no-reboot -kernel "$guest/vmlinuz-$version" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet" </dev/null >"$work/console" 2>&1
	console "alone is done" 1
	one_line "$version under QEMU"
	: | job
	start "vmlinuz-$version" --initrd "$work/initrd" --symbiotic off --cmdline quiet
	console "alone is done" 100
	one_line "$version, interface off"
	symctl stop --force --timeout 1 test >/dev/null 2>&1
	wait "$vm"
done
rm -f "$work/initrd"

job <<'J'
dmesg -n 5
load() {
	insmod /symkit/00-symbiotic.ko && insmod /symkit/01-symtest.ko &&
		insmod /symkit/02-symexample.ko && echo "loaded $1"
}
load once
[ -e /run/second ] || symvalue phase "warming up" 30 greeting &
until [ "$(cat /proc/sys/kernel/hostname)" = next ]; do
	echo "host greeting" >/dev/symtest 2>/dev/null && cat /dev/symtest >/run/shown
	sleep 0.3
	case $(dmesg | tail -n 1) in *"symtest says "*) ;; esac
	[ -e /dev/symtest ] || break
	[ "$(cat /sys/module/symtest/refcnt 2>/dev/null)" ] || break
	grep -q "last 5" /run/shown && break
done
sleep 1
kill %1
echo "value is gone"
sleep 3
rmmod symexample symtest symbiotic && echo "unloaded"
sleep 1
load again
sleep 4
echo "rebooting"
reboot -f
J
spied() { # jq expression, wanted, what
	expect "$(symctl spy test --json | jq -c "$1")" "$2" "$3"
}
spies() {
	[ "$(symctl spy test --json | jq -c "$1")" = "$2" ]
}
# call STATUS ARG... - an upcall and the exit status it should have.
call() {
	local wanted=$1
	shift
	expect "$(status_of symctl call test "$@")" "$wanted" "call $*: $(cat "$work/out")"
}
says() {
	grep -q "$1" "$work/out" || fail "'$1' is not in: $(cat "$work/out")"
}
check_spy() {
	spied .generation 1 "generation"
	spied .kernel.release "\"$(cat "$guest/release-$1")\"" "release"
	spied '.features' '["spy","call","doorbell","modules"]' "features"
	spied '[.modules[].name] | contains(["symbiotic","symtest","symexample"])' true "modules"
	spied '.memory.total > 400000000 and .memory.available <= .memory.total' true "memory"
	spied '.vcpus | length' 2 "vCPUs"
	spied '.vcpus | map(.comm | length > 0) | all' true "names of tasks"
}
check_contexts() {
	call 0 symtest.context --context interrupt
	says '^0x7 ' # hard interrupt, interrupts off, RCU watches
	call 0 symtest.context --context interrupt --vcpu 1
	says '^0x100000007 ' # on CPU 1
	call 0 symtest.context --context thread
	says '^0x[0-9a-f]*c ' # a task that may sleep
	call 0 symtest.context --context kick
	call 0 symtest.echo 40 2 --context kick --vcpu 1 --payload stressed
	says '^0x2a '
	says 'desserts'
	call 0 example.add 3 4
	says '^0x7 '
}
check_errors() {
	call 1 symtest.nothing
	says "no handler"
	call 1 symtest.irq_only --context thread
	says "context"
	call 1 symtest.exit_only --context interrupt
	says "context"
	call 1 symtest.error 28 --context interrupt
	says "No space left"
	call 1 symtest.sleep 1000 --deadline 100
	says "100 ms"
	for _ in 1 2 3 4 5; do # every place on vCPU 0
		wait_for 20 symctl call test symtest.sleep 8000 --deadline 30000 >/dev/null 2>&1 &
	done # tried again, for our own call may have had the place for a moment
	wait_for 20 busy || fail "a sixth call is not refused: $(cat "$work/out")"
	call 0 symtest.echo 1 2 --vcpu 1
	wait_for 60 symctl call test symtest.sleep 1 || fail "not free again"
}
busy() {
	! symctl call test symtest.sleep 1 >"$work/out" 2>&1 && grep -q busy "$work/out"
}
# A handler that hangs costs its vCPU the nested calls, and nothing else.
check_hang() {
	call 1 symtest.hang --context kick --vcpu 1 --deadline 200
	says "200 ms"
	call 1 symtest.echo 1 2 --context kick --vcpu 1
	says "timed out"
	call 0 symtest.echo 1 2 --context interrupt --vcpu 1
	call 0 symtest.echo 1 2 --context kick --vcpu 0
	symctl events --history test >"$work/events" 2>&1 &
	sleep 0.5
	kill $!
	grep -q 'call_timeout' "$work/events" || fail "no event of the time-out"
}
for version in "$@"; do
	with_programs $version "$top/build/tests/guest/symvalue"
	start_symbiotic $version --cpus 2 --cmdline quiet --service "$top/build/services/hello.so"
	console "loaded once" 100
	wait_for 20 spies '[.handlers[] | select(.name == "symtest.context")] | length' 1 ||
		fail "$version: not ready"
	check_spy $version
	wait_for 20 spies '[.values[] | select(.name == "phase") | .text] | .[0]' '"warming up"' ||
		fail "$version: no value of the program"
	check_contexts
	check_errors
	check_hang
	touch "$work/go"
	echo "$version: ready"
	symctl stop --force --timeout 1 test >/dev/null 2>&1
	wait "$vm"
	vm=
	clean_dmesg
done
