#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# clocks.sh [KERNEL...]: guests that do not use what KVM offers them: no KVM guest support, no KVM clock, other clock
# sources.  Each boots, keeps time with the host's, and its kernel has nothing to complain of.
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- "$newest"

job <<'J'
echo "SOURCE $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
echo "BEGIN $(cut -d' ' -f1 /proc/uptime)"
sleep 4
echo "END $(cut -d' ' -f1 /proc/uptime)"
dmesg | grep -iE 'tsc|clocksource|calibrat|timer|lockup|BUG:|Oops'
J

# when PATTERN - the host's time, in milliseconds, at which the console shows it.
when() {
	console "$1" 90
	date +%s%3N
}

try() { # KERNEL "OPTIONS" SOURCE
	local begin end guest_ms host_ms source
	start_tiny "$1" --cpus 2 --cmdline "$2"
	begin=$(when '^BEGIN')
	end=$(when '^END')
	finish 60
	expect "$status" 0 "exit status with '$2'"
	clean_dmesg
	! grep -qaE 'Unable to calibrate|No reference' "$work/console" ||
		fail "'$2': no reference clock: $(grep -aE 'calibrate|reference' "$work/console")"
	source=$(sed -n 's/^SOURCE \([a-z_-]*\).*/\1/p' "$work/console")
	[ -z "$3" ] || expect "$source" "$3" "clock source with '$2'"
	host_ms=$((end - begin))
	guest_ms=$(awk '/^BEGIN/ { b = $2 } /^END/ { printf "%d", ($2 - b) * 1000 }' "$work/console")
	# The console is looked at five times a second, by a shell in an emulated machine.
	[ $((guest_ms - host_ms)) -lt 1500 ] && [ $((host_ms - guest_ms)) -lt 1500 ] ||
		fail "'$2': $guest_ms ms in the guest, $host_ms ms on the host"
	echo "$1 '$2': $source, $guest_ms ms of $host_ms ms"
}

for kernel in "$@"; do
	try "$kernel" "quiet nopv" ""
	try "$kernel" "quiet no-kvmclock" ""
	try "$kernel" "quiet clocksource=acpi_pm" acpi_pm
done
try "$1" "quiet" kvm-clock
try "$1" "quiet no-kvmclock tsc=unstable" acpi_pm
# With several vCPUs Linux trusts only a TSC that the host calls invariant.
try "$1" "quiet no-kvmclock clocksource=tsc" ""

# Options that cannot work: symvmm warns, with the reason.
for option in pci=nomsi pci=conf1,nomsi pci=nommconf nolapic_timer nolapic; do
	start_tiny "$1" --cmdline "quiet $option"
	wait_for 10 grep -q "^symvmm: --cmdline " "$work/stderr" || fail "no word about $option"
	grep -q "${option/conf1,/}" "$work/stderr" || fail "the wrong word: $(cat "$work/stderr")"
	symctl stop test --force --timeout 1 >/dev/null || fail "stop --force with $option"
	finish 20
done
echo "hopeless options: told"
