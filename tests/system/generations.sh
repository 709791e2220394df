#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# generations.sh [KERNEL...]: a new start of the guest's module is a new generation, whatever it comes from: the
# module again, another kernel by kexec, a reset by the guest; with the system call
# filter on.  Nothing of the old one is used after it.
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- "$newest"

# Two disks hold the kernel and the initrd for kexec.
disk_of() { # FILE NAME
	cp "$1" "$work/$2.img"
	truncate -s %512 "$work/$2.img"
}
job <<'J'
dmesg -n 5
disk() { # SERIAL SIZE FILE
	for block in /sys/block/vd*; do
		[ "$(cat $block/serial 2>/dev/null)" = $1 ] || continue
		head -c $2 /dev/${block##*/} >$3
	done
}
load() {
	insmod /symkit/00-symbiotic.ko && insmod /symkit/01-symtest.ko && echo "loaded: $1"
	dmesg | grep 'symbiotic: .*generation' | tail -n 1
}
word() { # NAME: of the kernel's command line
	sed "s/.*$1=\([^ ]*\).*/\1/" /proc/cmdline
}
exec </dev/ttyS0
stty -echo
if grep -q after.kexec /proc/cmdline; then
	echo "up: after kexec"
else
	echo "up: at boot"
fi
while read -r what; do
	case $what in
	load) load here ;;
	reload)
		rmmod symtest symbiotic
		load again ;;
	unload)
		rmmod symtest symbiotic && echo unloaded ;;
	kexec)
		disk kernel $(word gen.kernel) /run/kernel
		disk initrd $(word gen.initrd) /run/initrd
		kexec /run/kernel /run/initrd "$(cat /proc/cmdline) after.kexec" ;;
	reset)
		reboot -f ;;
	esac
done
J

start_generations() {
	local version=$1 input modules
	rm -f "$work/initrd"
	with_programs "$version" "$top/build/tests/guest/kexec"
	# kexec does not get the VMM's addition to the initrd: this initrd has the modules itself.
	modules=$top/build/modules/$(cat "$guest/release-$version")
	mkdir "$work/root/symkit"
	cp "$modules/symbiotic.ko" "$work/root/symkit/00-symbiotic.ko"
	cp "$modules/symtest.ko" "$work/root/symkit/01-symtest.ko"
	cp "$guest/tiny-initrd-$version" "$work/initrd"
	truncate -s %4 "$work/initrd"
	(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >>"$work/initrd"
	disk_of "$guest/vmlinuz-$version" kernel
	disk_of "$work/initrd" initrd
	rm -f "$work/input"
	mkfifo "$work/input"
	exec {input}<>"$work/input"
	to_guest=$input
	: >"$work/console"
	symvmm run --name test --kernel "$guest/vmlinuz-$version" --initrd "$work/initrd" \
		--disk "$work/job.img,ro,serial=symjob" \
		--disk "$work/kernel.img,ro,serial=kernel" \
		--disk "$work/initrd.img,ro,serial=initrd" --memory 512M --cpus 2 \
		--cmdline "quiet gen.kernel=$(stat -c %s "$guest/vmlinuz-$version") gen.initrd=$(stat -c %s "$work/initrd")" \
		<"$work/input" >"$work/console" 2>"$work/stderr" &
	vm=$!
}

generation() {
	symctl spy test --json 2>/dev/null | jq .generation
}
is_generation() {
	[ "$(generation)" = "$1" ] &&
		symctl call test symtest.echo 40 2 --vcpu 1 --deadline 10000 | grep -q '^0x2a ' &&
		symctl call test symtest.echo 40 2 --context kick | grep -q '^0x2a '
}
twice() { # PATTERN
	[ "$(grep -ac "$1" "$work/console")" = 2 ]
}
# follows N WHAT - generation N answers within a while, and events reported it.
follows() {
	wait_for 100 is_generation "$1" || fail "$version: no generation $1 by $2"
	timeout 3 symctl events --history test --json >"$work/events" 2>/dev/null
	grep symbiotic_ready "$work/events" | tail -n 1 | jq -e ".. | .generation? // empty | . == $1" \
		>/dev/null || fail "$version: $2: no event ready $1"
	[ "$1" = 1 ] || expect "$(grep -c symbiotic_gone "$work/events")" $(($1 - 1)) \
		"$version: $2: events gone"
	echo "$version: $2: generation $1"
}

# nothing WHAT - while no module is loaded nothing can be read or called.
nothing() {
	case $(generation) in '' | null | 0) ;; *) fail "$version: spy after $1: $(generation)" ;; esac
	expect "$(status_of timeout 20 symctl call test symtest.echo 1 2)" 1 "$version: call after $1"
	symctl info test >/dev/null || fail "$version: info after $1"
}

for version in "$@"; do
	start_generations $version
	console "up: at boot" 100
	nothing "the start"
	echo load >&"$to_guest"
	follows 1 "boot"
	echo reload >&"$to_guest"
	follows 2 "loading the module again"
	# A call in flight ends when its generation does.
	symctl call test symtest.sleep 50000 --deadline 60000 >"$work/late" 2>&1 &
	late=$!
	sleep 1
	echo kexec >&"$to_guest"
	console "up: after kexec" 150
	nothing "kexec"
	echo load >&"$to_guest"
	wait $late && fail "$version: a call outlived its kernel"
	grep -q "reset meanwhile" "$work/late" || fail "$version: the call said $(cat "$work/late")"
	follows 3 "kexec"
	echo reset >&"$to_guest"
	wait_for 100 twice "up: at boot" || fail "$version: no second boot"
	nothing "reset"
	echo load >&"$to_guest"
	follows 4 "reset"
	echo unload >&"$to_guest"
	console "^unloaded" 60
	nothing "the module left"
	clean_dmesg
	symctl stop --force --timeout 1 test >/dev/null 2>&1
	wait "$vm"
	vm=
	exec {to_guest}>&-
done
echo "generations: all held"
