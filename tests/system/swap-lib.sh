# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What tests of swapping share: tiny guests that swap to SwapBypass's window or, to tell a
# fault of it from one of the kernel or of the test, to something that stock Debian has.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# bypass, sync (the window, as a device only), disk, zram, zswap (before a disk), tier (not swap: a
# second memory node, of which the kernel believes that it is slower), or ram: no swap at all.
swap=${SYMKIT_SWAP:-bypass}
# zram's algorithm, if not the kernel's own choice.
zram_algorithm=${SYMKIT_ZRAM:-}

# of_guest VERSION COMMAND - debugfs on the image that has that kernel's modules.
of_guest() {
	/sbin/debugfs -R "$2" "$guest/$(awk -v k="$1" '!/^#/ && $1 == k { print $4 }' \
		"$top/tests/guest/kernels").img" 2>/dev/null
}

# stock_modules VERSION FOLDER NAME... - the kernel's modules of these names, and what they need,
# numbered in their order.  Those that are built in are left out.
stock_modules() {
	local lib n=10 path file version=$1 folder=$2
	shift 2
	lib=/lib/modules/$(cat "$guest/release-$version")
	mkdir -p "$folder"
	of_guest "$version" "cat $lib/modules.dep" >"$work/modules.dep"
	# A line is "MODULE: WHAT IT NEEDS", what is to be loaded first at its end.
	for path in $(for name in "$@"; do
		grep -E "/$name\.ko[^:]*:" "$work/modules.dep" | tr -d : | tr ' ' '\n' | tac
	done | awk '!seen[$0]++'); do
		file=$folder/$((n++))-${path##*/}
		of_guest "$version" "dump $lib/$path $file"
		[ "$file" = "${file%.xz}" ] || xz -d "$file"
	done
	[ -n "$(find "$folder" -name "*-${!#}.ko")" ] || fail "$version: no module ${!#} in the guest's image"
}

# le BYTES NUMBER - as octal escapes, little-endian.
le() {
	local i
	for ((i = 0; i < $1; i++)); do
		printf '\\%03o' $((i < 8 ? ($2 >> (8 * i)) & 255 : 0))
	done
}

# tier_table RAM TIER - ACPI's SRAT on stdout: the first RAM MiB are node 0's, as the CPU is, and
# TIER MiB behind them node 1's.
tier_table() {
	local body sum
	body="SRAT$(le 4 $((48 + 16 + 2 * 40)))\\001@SUMSYMKITTIERING\\040$(le 12 1)$(le 12 1)"
	body+="\\000\\020$(le 2 0)$(le 12 1)"
	body+="\\001\\050$(le 6 0)$(le 8 0)$(le 8 $(($1 << 20)))$(le 4 0)$(le 12 1)"
	body+="\\001\\050$(le 6 1)$(le 8 $(($1 << 20)))$(le 8 $(($2 << 20)))$(le 4 0)$(le 12 3)"
	sum=$(printf '%b' "${body/@SUM/}" | od -An -v -tu1 | tr -s ' ' '\n' | awk '{ n += $1 } END { print n % 256 }')
	printf '%b' "${body/@SUM/$(le 1 $(((256 - sum) % 256)))}"
}

# packed FOLDER - what is in there, as an archive for an initrd.
packed() {
	(cd "$1" && find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0)
}

# swap_initrd VERSION PROGRAM... - $work/initrd: a tiny guest that can swap.
swap_initrd() {
	local more=$work/more
	with_programs "$@"
	rm -rf "$more" && mkdir "$more"
	case $swap in
	zram) stock_modules "$1" "$more/stock" lzo-rle ${zram_algorithm:+"$zram_algorithm"} zram ;;
	tier) stock_modules "$1" "$more/stock" nd_e820 dax_pmem kmem ;;
	*) return 0 ;;
	esac
	packed "$more" >"$work/more.cpio"
	truncate -s %4 "$work/initrd"
	cat "$work/more.cpio" >>"$work/initrd"
}

# tier_initrd RAM TIER - in front of it: tier_table.
tier_initrd() {
	rm -rf "$work/acpi"
	mkdir -p "$work/acpi/kernel/firmware/acpi"
	tier_table "$1" "$2" >"$work/acpi/kernel/firmware/acpi/srat.aml"
	packed "$work/acpi" >"$work/acpi.cpio"
	truncate -s %4 "$work/acpi.cpio"
	cat "$work/initrd" >>"$work/acpi.cpio"
	mv "$work/acpi.cpio" "$work/initrd"
}

# swap_script SIZE - for the guest: swap is on, the device is in $dev; what follows is done
# when the host says so, by "swapping".  "await WORD" waits until it tells WORD.
# SYMKIT_SWAP_FORCE=1: with the bypass even on a kernel that has not been verified.
# $swap_age: of processes that may have it, in milliseconds, if not the module's own.
swap_age=
# $swap_around: pages mapped in one fault, likewise.
swap_around=
swap_script() {
	cat <<J
dmesg -n 1
lines=\$(dmesg | wc -l)
J
	case $swap in
	bypass | sync)
		cat <<J
dev=/dev/symswap0
insmod /symkit/00-symbiotic.ko && insmod /symkit/01-symswap.ko ${swap_age:+min_age=$swap_age} \\
	${swap_around:+around=$swap_around} ${SYMKIT_SWAP_FORCE:+force=1}
until grep -q symswap0 /proc/swaps; do sleep 0.2; done
J
		;;
	zram)
		cat <<J
dev=/dev/zram0
for file in /stock/*; do insmod \$file; done
[ -z "$zram_algorithm" ] || echo $zram_algorithm >/sys/block/zram0/comp_algorithm ||
	echo "FAILED: zram has no $zram_algorithm"
echo $1 >/sys/block/zram0/disksize
mkswap \$dev >/dev/null && swapon \$dev
J
		;;
	disk | zswap)
		cat <<'J'
for block in /sys/block/vd*; do
	[ "$(cat $block/serial)" = symswap ] && dev=/dev/${block##*/}
done
mkswap $dev >/dev/null && swapon $dev
J
		[ "$swap" = disk ] || echo 'echo Y >/sys/module/zswap/parameters/enabled || echo "FAILED: no zswap"'
		;;
	tier)
		# Memory that the kernel was told is persistent becomes a dax device, and that memory of
		# node 1.
		cat <<'J'
for file in /stock/*; do insmod $file; done
echo online_movable >/sys/devices/system/memory/auto_online_blocks
nd=/sys/bus/nd/devices
seed=$(cat $nd/region0/dax_seed)
cat /proc/sys/kernel/random/uuid >$nd/$seed/uuid
echo namespace0.0 >$nd/$seed/namespace
echo mem >$nd/$seed/mode 2>/dev/null || echo ram >$nd/$seed/mode
echo 2097152 >$nd/$seed/align
echo $seed >/sys/bus/nd/drivers/dax_pmem/bind
for dax in /sys/bus/dax/devices/*; do echo ${dax##*/} >/sys/bus/dax/drivers/kmem/new_id; done
echo 1 >/sys/kernel/mm/numa/demotion_enabled
grep -q 1 /sys/devices/system/node/has_memory || echo "FAILED: no memory in a node 1"
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
	disk | zswap)
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
