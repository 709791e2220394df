#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# SwapBypass as the host has it, with a guest that checks what is in its memory: what is
# lent keeps to the limit, is given back when asked for, is on disk where there is a file,
# and is nobody's after a kill, a reset or an end.  A file that cannot take more pauses the guest,
# one that was cut ends it.
. "$(dirname "$0")/swap-lib.sh"

version=${1:-$oldest}
set_id=3
window=0x100000000 # the first GiB above a small guest's RAM and devices
disk=$work/disk
mkdir "$disk"
mount "$SYMKIT_DISK" "$disk" || fail "the disk cannot be mounted"
trap 'swapoff "$disk/swap" 2>/dev/null; umount -l "$disk"; leave' EXIT
file=$disk/window
events=$work/events

# begin OPTION... - a guest with the job on stdin, to where it swaps.
begin() {
	swap_options 512M
	{ echo "touch /run/symjob-stay" && cat; } | job
	start "vmlinuz-$version" --initrd "$work/initrd" --cpus 2 --memory 256M --cmdline quiet \
		--disk "$work/job.img,ro,serial=symjob" "${swap_options[@]}" "$@"
	wait_for 20 symctl info test || fail "no answer"
	symctl events test --history >"$events" 2>&1 &
	console "${ready:-swap is on}" 100
}

lent() {
	stat_of .lent
}
at_most() {
	[ "$(lent)" -le "$1" ]
}
at_least() {
	[ "$(lent)" -ge "$1" ]
}
# on_disk - bytes that the file has.
on_disk() {
	echo $(($(stat -c %b "$file") * 512))
}
works() {
	! grep -qa 'load ended' "$work/console" || fail "the load ended before $1"
}
# asked COMMAND... - it succeeds; its answer in $work/out.
asked() {
	"$@" >"$work/out" 2>&1 || fail "$*: $(cat "$work/out")"
}
# reclaim BYTES - as much as there is; the guest's answers are taken.
reclaim() {
	asked symctl swapbypass reclaim test "$1" --json
	! grep -q 'not valid' "$work/out" || fail "reclaim: $(cat "$work/out")"
}
mib() {
	echo $(($1 << 20))
}
# under_load MIB - let the job begin, and wait until it has so much of the window.
under_load() {
	wait_for 60 level bypass || fail "$(symctl swapbypass stat test)"
	tell go
	console "^swaptorture: set of" 60
	wait_for 60 at_least "$(mib "$1")" || fail "$(lent) bytes are lent"
}
# Blocks that a file system may count for itself, and a page or two of the module.
slack=$(mib 6)

load() { # SECONDS [OPTION...]
	echo "swaptorture --seed $((set_id++)) --threads 2 --seconds $* || $swap_failed"
}

lending_file() {
	lending file
}

lending() { # file or nothing
	echo "$version: limit, reclaim, pause under load, ${1:-memory}"
	begin ${1:+--swapbypass-file "$file"} <<J
$(swap_script 512M)
dd if=\$dev of=/dev/null bs=1M 2>/dev/null
echo "all of it was read"
await load
$(load 12 random pageout)
echo "load ended"
await on
$(load 3 random)
$swap_dmesg
J
	wait_for 60 level bypass || fail "$(symctl swapbypass stat test)"
	tell go
	console "all of it was read" 60
	at_most "$slack" || fail "$(lent) bytes are lent to who only reads"
	tell load
	console "^swaptorture: set of" 60
	wait_for 60 at_least "$(mib 100)" || fail "$(lent) bytes are lent"
	sleep 2

	reclaim 16M
	got=$(jq '.punched + .evicted' "$work/out")
	# Without a file, pages in use cannot be moved; on disk, some are touched again at once.
	[ -z "${1:-}" ] || [ "$got" -ge "$(mib 4)" ] || fail "reclaim: $(cat "$work/out")"
	works reclaim
	echo "    reclaimed $((got >> 10)) KiB under load: $(jq -c . "$work/out")"
	asked symctl pause test
	before=$(stat_of .maps)
	sleep 1
	asked symctl swapbypass limit test 64M
	grep -q paused "$work/out" || fail "paused: $(cat "$work/out")"
	expect "$(stat_of .maps)" "$before" "pages mapped by a guest that is paused"
	asked symctl resume test
	works resume

	# It may keep the pages that it had, until it does not need them.
	console "load ended" 200
	wait_for 60 at_most $((64 * 1048576 + slack)) ||
		fail "$(lent) bytes lent, and the limit is 64M"
	[ -z "${1:-}" ] || [ "$(on_disk)" -le $((64 * 1048576 + slack)) ] ||
		fail "$(on_disk) bytes on disk, and the limit is 64M"
	grep -q violation "$events" && fail "an honest guest was punished: $(cat "$events")"
	asked symctl swapbypass limit test 512M
	tell on
	done_well 100
	[ "$(stat_of .maps)" -gt 0 ] || fail "nothing was mapped"
	expect "$(stat_of .exits)" 0 "exits because of the window"
	end
	[ ! -e "$file" ] || fail "the file was left behind"
}

# pages_swapped_out - by the host, ever.
pages_swapped_out() {
	awk '$1 == "pswpout" { print $2 }' /proc/vmstat
}

# The host may swap lent pages itself; the guest's pages come back from there unchanged.
host_swap() {
	local area=$disk/swap before out got
	echo "$version: the host swaps what it lent"
	fallocate -l 256M "$area" && chmod 600 "$area" && mkswap "$area" >/dev/null &&
		swapon "$area" || fail "the host has no swap"
	begin <<J
$(swap_script 512M)
$(load 10 random)
$swap_dmesg
J
	under_load 100
	sleep 2
	before=$(pages_swapped_out)
	reclaim 64M
	# Some are touched again at once, and are not in there any more.
	out=$((($(pages_swapped_out) - before) * 4096))
	[ "$out" -ge "$(mib 1)" ] || fail "the host swapped out $out bytes: $(cat "$work/out")"
	got=$(jq .evicted "$work/out")
	[ "$got" -ge "$(mib 1)" ] || fail "the host swapped out $out bytes, and that is told: $got"
	echo "    the host swapped out $out bytes: $(jq -c . "$work/out")"
	done_well 200
	end
	swapoff "$area" && rm "$area"
}

running() {
	[ "$(symctl info test --json | jq -r .state)" = "$1" ]
}

# A guest that needs a page that the file system does not have waits, without using a CPU.
file_full() {
	local small=$work/small ticks
	echo "$version: no room behind the file, and room again"
	mkdir "$small" && mount -t tmpfs -o size=530M none "$small" || fail "no tmpfs"
	begin --swapbypass-file "$small/window" <<J
$(swap_script 512M)
$(load 12 random)
$swap_dmesg
J
	under_load 10
	dd if=/dev/zero of="$small/hog" bs=1M 2>/dev/null
	wait_for 10 grep -q swapbypass_file_full "$events" || fail "no event: $(cat "$events")"
	wait_for 10 running paused || fail "not paused: $(symctl info test)"
	grep -q "window: no room for more pages: No space left on device; the VM is paused" \
		"$work/stderr" || fail "no line: $(cat "$work/stderr")"
	ticks=$(awk '{ print $14 + $15 }' "/proc/$vm/stat")
	sleep 3
	ticks=$(($(awk '{ print $14 + $15 }' "/proc/$vm/stat") - ticks))
	[ $ticks -lt 60 ] || fail "it took $ticks ticks of a CPU in 3 s"
	symctl resume test >"$work/out" 2>&1 && fail "resumed without room"
	grep -q "no room for more pages" "$work/out" || fail "resume: $(cat "$work/out")"
	asked symctl pause test # its owner's pause lasts
	rm "$small/hog"
	wait_for 10 grep -q swapbypass_file_ready "$events" || fail "no event: $(cat "$events")"
	sleep 1
	running paused || fail "it did not stay paused"
	asked symctl resume test
	dd if=/dev/zero of="$small/hog" bs=1M 2>/dev/null
	wait_for 10 running paused || fail "not paused again: $(symctl info test)"
	rm "$small/hog"
	wait_for 10 running running || fail "it did not continue: $(symctl info test)"
	done_well 200
	end
	umount "$small" && rmdir "$small"
}

# begin_hotset MIB HOT OPTION... - with a program that uses HOT of so much memory, to where all of it
# was touched; when it is told "all" it checks all, and the job ends.
begin_hotset() {
	local set="$1 $2"
	shift 2
	begin "$@" <<J
$(swap_script 512M)
hotset $set &
await all
kill -USR1 \$! && wait \$! || $swap_failed
$swap_dmesg
J
	wait_for 60 level bypass || fail "$(symctl swapbypass stat test)"
	tell go
	console "^hotset: touched" 100
}

# sectors FILE - where it is on its device, FIRST-LAST; null_blk has room for 512 pieces of 256K,
# and gets them right if they come one by one and in order.
sectors() {
	filefrag -e -v "$1" | awk -F: '/^ *[0-9]+:/ { print $4 + 0, $3 }' | sort -nr |
		awk 'n < 400 {
			split($0, block, /[ .]+/)
			for (at = block[2] * 8; at < block[3] * 8; at += 512) {
				last = at + 511 < block[3] * 8 + 7 ? at + 511 : block[3] * 8 + 7
				print at "-" last
				n++
			}
		}' | sort -n
}
# each_sector SIGN FILE - "+": the sectors in it are bad from now on; "-": they are not.
each_sector() {
	sed "s/^/$1/" "$2" | while read -r range; do
		echo "$range" >/sys/kernel/config/nullb/bad/badblocks || break
	done
}

# The guest waits while its pages cannot be read, its owner is served, and nothing is lost.
file_error() {
	local bad=/sys/kernel/config/nullb/bad small=$work/small
	echo "$version: I/O errors of the file, and none again"
	/sbin/modprobe -d "$guest/rig-kernel" null_blk nr_devices=0 || fail "no null_blk"
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	mkdir "$bad" && echo 700 >"$bad/size" &&
		echo 1 >"$bad/memory_backed" && echo 1 >"$bad/power" || fail "no device"
	mke2fs -q -t ext2 -b 4096 /dev/bad && mkdir "$small" && mount /dev/bad "$small" ||
		fail "no file system"
	begin_hotset 300 60 --swapbypass-file "$small/window"
	reclaim 60M
	[ "$(jq .evicted "$work/out")" -ge "$(mib 40)" ] || fail "reclaim: $(cat "$work/out")"
	sectors "$small/window" >"$work/sectors"
	each_sector + "$work/sectors"
	echo "    $(awk -F- '{ n += $2 - $1 + 1 } END { print int(n / 2048) }' "$work/sectors") MiB are bad"
	tell all
	wait_for 10 grep -q swapbypass_file_error "$events" || fail "no event: $(cat "$events")"
	wait_for 10 running paused || fail "not paused: $(symctl info test)"
	grep -q "window: cannot be read at offset [0-9]*: Input/output error; the VM is paused" \
		"$work/stderr" || fail "no line: $(cat "$work/stderr")"
	sleep 3
	expect "$(grep -c swapbypass_file_error "$events")" 1 "events"
	asked symctl list
	each_sector - "$work/sectors"
	wait_for 20 running running || fail "it did not continue: $(symctl info test)"
	wait_for 20 grep -q swapbypass_file_ready "$events" || fail "no event: $(cat "$events")"
	done_well 200
	end
	umount "$small" && rmdir "$small" && echo 0 >"$bad/power" && rmdir "$bad"
}

# Pages that a cut file had are lost: the guest cannot continue.
file_cut() {
	echo "$version: the file is cut"
	begin --swapbypass-file "$file" <<J
$(swap_script 512M)
$(load 60 random)
J
	under_load 10
	truncate -s 1M "$file"
	finish 10
	expect "$status" 12 "exit status after the file was cut"
	grep -q "window was cut to 1048576 bytes: pages of the guest are lost" "$work/stderr" ||
		fail "the reason is not given: $(cat "$work/stderr")"
	rm -f "$file"
}

# Contents left in the file by a killed VM are never shown to another.
killed() {
	echo "$version: killed, and again with the same file"
	begin --swapbypass-file "$file" <<J
$(swap_script 512M)
$(load 60 random)
J
	under_load 50
	kill -9 "$vm"
	wait "$vm" 2>/dev/null
	[ "$(on_disk)" -gt "$(mib 50)" ] || fail "nothing was in the file"
	echo "    $(($(on_disk) >> 20)) MiB left in the file"
	begin --swapbypass-file "$file" <<J
$(swap_script 512M)
$(load 2 random)
$swap_dmesg
J
	grep -q "discarded the contents left by VM test" "$work/stderr" || fail "no warning on stderr"
	wait_for 10 grep -q swapbypass_discarded "$events" || fail "no event: $(cat "$events")"
	[ "$(on_disk)" -lt "$(mib 10)" ] || fail "$(on_disk) bytes are still there"
	wait_for 60 level bypass || fail "$(symctl swapbypass stat test)"
	tell go
	done_well 100
	end
}

reset() {
	echo "$version: the guest restarts"
	begin <<J
$(swap_script 512M)
again=\$(dd if=\$go bs=512 skip=1 count=1 2>/dev/null | tr -d '\0')
$(load 2 random)
if [ ! "\$again" ]; then
	echo again | dd of=\$go bs=512 seek=1 conv=sync,fsync 2>/dev/null
	reboot -f
fi
$swap_dmesg
J
	wait_for 60 level bypass || fail "$(symctl swapbypass stat test)"
	tell go
	wait_for 60 at_least "$(mib 50)" || fail "$(lent) bytes are lent"
	wait_for 60 grep -q again "$work/go.img" || fail "it did not restart"
	for ((i = 0; i < 300; i++)); do
		[ "$(grep -ac 'INIT: first line' "$work/console")" -lt 2 ] || break
		sleep 0.2
	done
	at_most "$slack" || fail "$(lent) bytes are still lent"
	wait_for 60 level bypass || fail "$(symctl swapbypass stat test)"
	tell go
	done_well 60
	end
}

# From the guest's own swapon on, too, it keeps the limit; all of the set is in memory then.
own_swapon() {
	echo "$version: the guest's own swapon, and a limit"
	begin --swapbypass-limit 16M <<J
$(swap_script 512M)
$(load 8 --set 120M --swap '$dev' swapoff pageout)
$swap_dmesg
J
	wait_for 60 level bypass || fail "$(symctl swapbypass stat test)"
	tell go
	done_well 100
	! grep -q violation "$events" || fail "an honest guest was punished: $(cat "$events")"
	at_most $((16 * 1048576 + slack)) || fail "$(lent) bytes lent, and the limit is 16M"
	sed -n '/^swapoff *ok/s/^/    /p; /^pageout *ok/s/^/    /p' "$work/console"
	end
}

# It can reach all of the window; what it may not have is taken again.
greedy() {
	echo "$version: a guest that takes more than its limit"
	ready="hog begins" begin --swapbypass-limit 64M <<J
echo "hog begins"
windowhog $window $(mib 300) || exit
J
	console "SYMJOB: exit 0" 60
	wait_for 40 grep -q swapbypass_violation "$events" || fail "no event: $(cat "$events")"
	wait_for 40 at_most $((64 * 1048576 + slack)) || fail "$(lent) bytes lent, the limit is 64M"
	echo "    $(grep -o 'the guest has[^"]*' "$events" | head -n 1)"
	end
}

# What the guest does not use any more comes back by itself.
idle() {
	local before after
	echo "$version: what is not needed comes back"
	begin <<J
$(swap_script 512M)
$(load 4 random)
echo "load ended"
sleep 30
$swap_dmesg
J
	under_load 60
	console "load ended" 100
	before=$SECONDS
	wait_for 20 at_most "$(mib 32)" || fail "still lent: $(symctl swapbypass stat test)"
	after=$((SECONDS - before))
	echo "    within $after s: $(stat_of '{lent, idle, idle_returned}' | jq -c .)"
	[ "$(stat_of .idle_returned)" -ge "$(mib 30)" ] || fail "not counted: $(stat_of .)"
	done_well 60
	end
}

# faults_later - page faults of hotset, in the five seconds from now on.
faults_later() {
	local seen
	seen=$(grep -c '^hotset: .* faults' "$work/console")
	sleep 7
	tr -d '\r' <"$work/console" |
		sed -n 's/^hotset: \([0-9]*\) faults$/\1/p' | tail -n "+$((seen + 1))" | head -n 5 |
		awk '{ n += $1 } END { print n }'
}
cold_pages() {
	[ "$(stat_of .cold)" -ge "$1" ]
}

# Reclaim takes mapped pages that the guest does not use before those that it does.
cold() {
	local faults got
	echo "$version: cold pages first"
	begin_hotset 400 100 --swapbypass-file "$file"
	wait_for 60 cold_pages 20000 || fail "not cold: $(symctl swapbypass stat test)"
	reclaim 60M
	got=$(jq .evicted "$work/out")
	faults=$(faults_later)
	echo "    $((got >> 10)) KiB were evicted, then the program took $faults faults for 25600 pages"
	[ "$got" -ge "$(mib 50)" ] || fail "reclaim: $(cat "$work/out")"
	[ "$faults" -le 500 ] || fail "pages in use were taken"
	tell all
	done_well 100
	end
}

swap_initrd "$version" "$top"/build/tests/guest/{swaptorture,windowhog,hotset}
parts="idle cold lending own_swapon" # what depends on the kernel
[ "$version" != "$oldest" ] ||
	parts+=" lending_file host_swap file_full file_error file_cut killed reset greedy"
for part in ${SYMKIT_SWAP_PARTS:-$parts}; do
	"$part"
done
