# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Functions for the system tests.  A test is a script in this folder that sources this file,
# runs where KVM is native (tests/rig/run), and ends with 0 when all of it held.
# A disk image with a Debian userland is at $SYMKIT_DISK, writable and private.
set -u

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
guest=${SYMKIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/symkit}/guest
PATH=$top/build:$PATH
# Kernels of the table: what takes long is tested on the oldest and the newest.
# shellcheck disable=SC2034 # used by the tests
{
	kernels=$(awk '!/^#/ { print $1 }' "$top/tests/guest/kernels")
	oldest=$(echo "$kernels" | head -n 1)
	newest=$(echo "$kernels" | tail -n 1)
}
# at_length KERNEL - all parts of a test, not only those that each kernel gets; SYMKIT_AT_LENGTH=1
# has them on all.
at_length() {
	[ "$1" = "$oldest" ] || [ "$1" = "$newest" ] || [ -n "${SYMKIT_AT_LENGTH:-}" ]
}
work=$(mktemp -d)
export SYMKIT_RUNTIME=$work/run
vm=
trap 'leave' EXIT

leave() {
	[ -z "$vm" ] || kill -9 "$vm" 2>/dev/null
	rm -rf "$work"
}

fail() {
	echo "FAILED: $*"
	if [ -s "$work/console" ]; then
		echo "--- last lines of the console"
		tail -n 100 "$work/console"
	fi
	[ ! -s "$work/stderr" ] || sed 's/^/stderr: /' "$work/stderr"
	exit 1
}

# job - make $work/job.img, the disk with the script on stdin for the guest to run.
job() {
	cat >"$work/job.img"
	truncate -s "$((($(stat -c %s "$work/job.img") + 511) / 512 * 512))" "$work/job.img"
}

# start KERNEL OPTION... - a VM in the background, named "test".
start() {
	local kernel=$1
	shift
	: >"$work/console"
	symvmm run --name test --kernel "$guest/$kernel" --console "file:$work/console" \
		--memory 512M "$@" 2>"$work/stderr" </dev/null &
	vm=$!
}

# start_tiny VERSION OPTION..., start_debian VERSION OPTION... - with the job on a disk.
start_tiny() {
	local version=$1
	shift
	start "${KERNEL:-vmlinuz}-$version" --initrd "$guest/tiny-initrd-$version" \
		--disk "$work/job.img,ro,serial=symjob" --cmdline quiet "$@"
}

start_debian() {
	local version=$1
	shift
	start "vmlinuz-$version" --initrd "$guest/initrd-$version" \
		--cmdline "root=/dev/vda quiet" --disk "$SYMKIT_DISK,format=raw" \
		--disk "$work/job.img,ro,serial=symjob" "$@"
}

# finish SECONDS - wait for the VM to end; its exit status in $status.
finish() {
	local i
	for ((i = 0; i < $1 * 5; i++)); do
		kill -0 "$vm" 2>/dev/null || break
		sleep 0.2
	done
	kill -0 "$vm" 2>/dev/null && fail "still running after $1 s"
	wait "$vm"
	# shellcheck disable=SC2034 # the tests look at it
	status=$?
	vm=
}

# console PATTERN SECONDS - wait until a line of the console matches.
console() {
	local i
	for ((i = 0; i < $2 * 5; i++)); do
		grep -qaE "$1" "$work/console" && return 0
		kill -0 "$vm" 2>/dev/null || break
		sleep 0.2
	done
	grep -qaE "$1" "$work/console" || fail "no line matches '$1' within $2 s"
}

# expect TEXT WANTED WHAT - compare.
expect() {
	[ "$1" = "$2" ] || fail "$3: '$1', expected '$2'"
}

# clean_dmesg - no complaint of the guest's kernel on the console.
clean_dmesg() {
	local bad
	bad=$(grep -aE 'BUG:|Oops|soft lockup|self-detected stall|hung_task|Call Trace' \
		"$work/console" | head -n 3)
	[ -z "$bad" ] || fail "the guest's kernel complained: $bad"
}

# with_programs VERSION PROGRAM... - $work/initrd: the tiny guest's with these in /bin.
with_programs() {
	local version=$1
	shift
	rm -rf "$work/root"
	mkdir -p "$work/root/bin"
	cp "$@" "$work/root/bin" || fail "a program for the guest is not built"
	cp "$guest/tiny-initrd-$version" "$work/initrd"
	truncate -s %4 "$work/initrd"
	(cd "$work/root" && find . | cpio --quiet -o -H newc -R 0:0) >>"$work/initrd"
}

# start_symbiotic VERSION OPTION... - a tiny guest with the modules in
# /symkit (00-symbiotic.ko, 01-symtest.ko, 02-symexample.ko), and the programs that with_programs added.
start_symbiotic() {
	local version=$1
	shift
	[ -e "$work/initrd" ] || with_programs "$version" /bin/true
	start "vmlinuz-$version" --initrd "$work/initrd" --modules "$top/build/modules" \
		--initrd-modules symbiotic,symtest,symexample \
		--disk "$work/job.img,ro,serial=symjob" "$@"
}

# status_of COMMAND... - its exit status, its output in $work/out.
status_of() {
	"$@" >"$work/out" 2>&1
	echo $?
}

# wait_for SECONDS COMMAND... - until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}
