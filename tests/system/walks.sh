#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# walks.sh KERNEL...: whoever looks at page tables in SwapBypass keeps them from being freed
# meanwhile.  A look is made to take long, while tables come and go: with the kernel's tables
# freed by RCU, as it does where KVM offers to flush TLBs, and without that (nopv).
. "$(dirname "$0")/swap-lib.sh"

swap_age=0

race() { # KERNEL OPTIONS
	swap_options 256M
	{ echo "touch /run/symjob-stay" && cat <<J; } | job
$(swap_script 256M)
echo 100 >/sys/module/symswap/parameters/walk_delay_us
walkrace 10 || $swap_failed
$swap_dmesg
J
	start "vmlinuz-$1" --initrd "$work/initrd" --cpus 2 --memory 256M --cmdline "quiet $2" \
		--disk "$work/job.img,ro,serial=symjob" "${swap_options[@]}"
	console "swap is on" 100
	swapping
	done_well 200
	[ "$(stat_of .restores)" -gt 1000 ] || fail "hardly anything was looked at"
	echo "$1 ${2:-with PV TLB flush}: $(grep -a '^walkrace:' "$work/console" | tr -d '\r')," \
		"$(stat_of .restores) restores"
	end
}

for kernel in "${@:-6.1}"; do
	swap_initrd "$kernel" "$top/build/tests/guest/walkrace"
	race "$kernel" ""
	race "$kernel" nopv
done
