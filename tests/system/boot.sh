#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# boot.sh [KERNEL...]: both formats, one vCPU to eight: every vCPU online, a clean power-off.
. "$(dirname "$0")/lib.sh"

job <<'J'
echo "cpus $(nproc) release $(uname -r) mem $(awk '/MemTotal/{print $2}' /proc/meminfo)"
J
try() { # kernel format, version, cpus, memory
	KERNEL=$1 start_tiny "$2" --cpus "$3" --memory "$4"
	finish 120
	expect "$status" 0 "exit status of $1-$2 with $3 vCPUs"
	grep -qa "^cpus $3 release $(cat "$guest/release-$2")" "$work/console" ||
		fail "$1-$2: not $3 vCPUs online"
	clean_dmesg
	echo "$1-$2 with $3 vCPUs and $4: ok"
}
# shellcheck disable=SC2086 # words
[ $# -gt 0 ] || set -- $kernels
for kernel in "$@"; do
	try vmlinuz "$kernel" 1 256M
	try vmlinux "$kernel" 4 512M
	! at_length "$kernel" || try vmlinuz "$kernel" 2 512M
done
try vmlinuz "$1" 8 512M
# Memory above the hole below 4 GiB.
try vmlinuz "$1" 1 3584M
[ "$(sed -n 's/^cpus.*mem //p' "$work/console" | tr -d '\r')" -gt 3400000 ] ||
	fail "memory above 4 GiB is missing"
