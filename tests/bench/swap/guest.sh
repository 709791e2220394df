# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the guests of "make bench swap" share: a tiny guest of some kernel, with little memory
# and something to swap to, or instead of that.  Sourced, in the rig, after
#
#	set -- KERNEL KIND ...
#
# where KIND is one of swap-lib.sh or zram-ALGORITHM.
kernel=$1
case $2 in
zram-*)
	export SYMKIT_SWAP=zram SYMKIT_ZRAM=${2#zram-}
	;;
*) export SYMKIT_SWAP=$2 ;;
esac
# shellcheck source=../../system/swap-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../system/swap-lib.sh"

# begin MIB ROOM OPTION... - boot with so much memory, and room for as much as ROOM MiB beside
# it, to where the guest may begin.  The job and $work/initrd are made.  The guest's clock ticks:
# where instructions are counted, a guest of 7.x that sets its timer anew each time stops in the
# middle of its boot, and the emulator with it.
begin() {
	local mib=$1 room=$2 cmdline="quiet nohz=off highres=off"
	shift 2
	case $swap in
	ram) mib=$((mib + room)) ;;
	tier)
		# A memory block more: the device keeps its own data at the beginning.
		tier_initrd "$mib" $((room + 128))
		cmdline+=" memmap=$((room + 128))M!${mib}M"
		mib=$((mib + room + 128))
		;;
	esac
	swap_options "${room}M"
	start "vmlinuz-$kernel" --initrd "$work/initrd" --memory "${mib}M" --cmdline "$cmdline" \
		--disk "$work/job.img,ro,serial=symjob" "${swap_options[@]}" "$@"
	console "swap is on" 200
	swapping
}

# For the job: a line "counts NAME VALUE..." of what the kernel has counted.
# shellcheck disable=SC2016,SC2034 # expanded in the guest, used by whoever sources this
swap_counts='awk "/^(pgfault|pswpin|pswpout|pgdemote_(kswapd|direct)) / { line = line \" \" \$1 \" \" \$2 }
	END { print \"counts\" line }" /proc/vmstat'

# ended SECONDS - the guest ends by itself, and nothing was wrong in it.
ended() {
	finish "$1"
	quiet_kernel "$work/console"
	! grep -a 'FAILED' "$work/console" || fail "what is in memory is not what was written"
	grep -qa 'SYMJOB: exit 0' "$work/console" || fail "the job did not end well"
	if [ "$swap" = tier ]; then
		grep -qaE '^counts.* pgdemote_[a-z]* [1-9]' "$work/console" || fail "nothing was demoted"
	fi
}
