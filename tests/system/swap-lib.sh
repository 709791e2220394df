# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What tests of swapping share: tiny guests that swap to SwapBypass's window or, to tell a
# fault of it from one of the kernel or of the test, to something that stock Debian has.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# bypass, sync (the window, as a device only), disk, zram, or ram: no swap at all.
swap=${SYMKIT_SWAP:-bypass}

# of_guest COMMAND - debugfs on the Debian guest's disk.
of_guest() {
	/sbin/debugfs -R "$1" "$SYMKIT_DISK" 2>/dev/null
}

# zram_modules VERSION FOLDER - the stock modules for zram, numbered in their order.
zram_modules() {
	local lib n=10 path file
	lib=/lib/modules/$(cat "$guest/release-$1")
	mkdir -p "$2"
	# A line is "MODULE: WHAT IT NEEDS", what is to be loaded first at its end.
	for path in $(of_guest "cat $lib/modules.dep" | grep -E '/(zram|lzo-rle)\.ko[^:]*:' | tr -d : |
		tr ' ' '\n' | tac); do
		file=$2/$((n++))-${path##*/}
		of_guest "dump $lib/$path $file"
		[ "$file" = "${file%.xz}" ] || xz -d "$file"
	done
	[ -s "$(find "$2" -name '*-zram.ko')" ] || fail "$1: no module zram on the guest's disk"
}

# swap_initrd VERSION PROGRAM... - $work/initrd: a tiny guest that can swap.
swap_initrd() {
	with_programs "$@"
	[ "$swap" = zram ] || return 0
	rm -rf "$work/more"
	zram_modules "$1" "$work/more/zram"
	(cd "$work/more" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/more.cpio"
	truncate -s %4 "$work/initrd"
	cat "$work/more.cpio" >>"$work/initrd"
}

# swap_script SIZE - for the guest: swap is on, the device is in $dev; what follows is done
# when the host says so, by "swapping".  "await WORD" waits until it tells WORD.
# SYMKIT_SWAP_FORCE=1: with the bypass even on a kernel that has not been verified.
# $swap_age: of processes that may have it, in milliseconds, if not the module's own.
swap_age=
swap_script() {
	cat <<J
dmesg -n 1
lines=\$(dmesg | wc -l)
J
	case $swap in
	bypass | sync)
		cat <<J
dev=/dev/symswap0
insmod /symkit/00-symbiotic.ko && insmod /symkit/01-symswap.ko ${swap_age:+min_age=$swap_age} ${SYMKIT_SWAP_FORCE:+force=1}
until grep -q symswap0 /proc/swaps; do sleep 0.2; done
J
		;;
	zram)
		cat <<J
dev=/dev/zram0
for file in /zram/*; do insmod \$file; done
echo $1 >/sys/block/zram0/disksize
mkswap \$dev >/dev/null && swapon \$dev
J
		;;
	disk)
		cat <<'J'
for block in /sys/block/vd*; do
	[ "$(cat $block/serial)" = symswap ] && dev=/dev/${block##*/}
done
mkswap $dev >/dev/null && swapon $dev
J
		;;
	esac
	cat <<'J'
echo "swap is on"
for block in /sys/block/vd*; do
	[ "$(cat $block/serial)" = symgo ] && go=/dev/${block##*/}
done
await() {
	until [ "$(dd if=$go bs=512 count=1 iflag=direct 2>/dev/null | tr -d '\0')" = $1 ]; do
		sleep 0.2
	done
}
await go
J
}

# The kernel's messages since then, for quiet_kernel; a cgroup's own lack of memory is wanted.
# Since 7.0 the kernel may find no page for its table of a cluster of slots, and says so.
# shellcheck disable=SC2016,SC2034 # expanded in the guest, used by whoever sources this
swap_dmesg='dmesg | tail -n +$lines | awk "
	/invoked oom-killer/ { skip = 1 }
	/: page allocation failure: order:0/ { failure = 1; text = \"\" }
	failure { text = text \"KERNEL: \" \$0 \"\n\" }
	failure && /pages hwpoisoned/ {
		failure = 0
		if (text !~ /swap_cluster_alloc_table/)
			printf \"%s\", text
		next
	}
	!failure && (!skip || /Out of memory/) { print \"KERNEL: \" \$0 }
	/Memory cgroup out of memory/ { skip = 0 }"'

# For "COMMAND || $swap_failed": print all kernel messages, and end.
# shellcheck disable=SC2034
swap_failed='{ dmesg | tail -n +$lines | tail -n 90; exit 1; }'

# quiet_kernel FILE - it did not complain in there.
quiet_kernel() {
	local bad
	bad=$(grep -aE '^KERNEL:' "$1" | grep -aE 'BUG|Oops|WARNING|Bad (page|rss|swap)|bad swap|lockup|self-detected stall|blocked for more|Call Trace|Out of memory|protection fault|unable to handle|[Uu]nused swap|symswap: .*(error|cannot)' |
		head -n 5)
	[ -z "$bad" ] || fail "the guest's kernel complained: $bad"
}

# done_well SECONDS - the job ends, and nothing went wrong in the guest.
done_well() {
	console "SYMJOB: exit" "$1"
	! grep -a 'FAILED' "$work/console" || fail "what is in memory is not what was written"
	grep -qa "SYMJOB: exit 0" "$work/console" || fail "the job did not end well"
	quiet_kernel "$work/console"
	clean_dmesg
}

end() {
	symctl stop --force --timeout 1 test >/dev/null 2>&1
	wait "$vm"
	vm=
}

# stat_of JQ [NAME] - from the output of "swapbypass stat".
stat_of() {
	symctl swapbypass stat "${2:-test}" --json | jq -r "$1"
}

# swap_options SIZE - the array $swap_options for symvmm run.
swap_options() {
	truncate -s 0 "$work/go.img"
	truncate -s 4096 "$work/go.img"
	swap_options=(--disk "$work/go.img,serial=symgo")
	case $swap in
	bypass | sync)
		swap_options+=(--swapbypass "$1" --modules "$top/build/modules"
			--initrd-modules "symbiotic,symswap")
		;;
	disk)
		truncate -s "$1" "$work/swap.img"
		swap_options+=(--disk "$work/swap.img,serial=symswap")
		;;
	esac
}

# level WANTED - is it so?
level() {
	[ "$(symctl swapbypass stat test --json | jq -r .level)" = "$1" ]
}

# swapping - wait until the guest swaps as it should, and let it begin.
swapping() {
	case $swap in
	bypass) wait_for 60 level bypass ;;
	sync) symctl swapbypass device test >"$work/out" && level device ;;
	esac || fail "$(symctl swapbypass stat test 2>&1)"
	tell go
}

tell() {
	printf %s "$1" | dd of="$work/go.img" conv=sync,notrunc status=none
}
