#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# swapbypass.sh [KERNEL...]: SwapBypass under torture, with 4 vCPUs and 1, and with each LRU:
# whatever is done to memory that is swapped, it is what was written; levels change under
# load; two guests do not see each other; the module can be unloaded and loaded again.  All of
# that on the newest kernel; the torture with 4 vCPUs on each.
#
# SYMKIT_SWAP=disk or zram does the same with what stock Debian swaps to, as far as it
# applies.  SYMKIT_SWAP_SECONDS is how long the torture takes for a kernel (default 20; an
# hour finds more; SYMKIT_TEST_TIMEOUT must allow for it), SYMKIT_SWAP_SEED another course of
# it, SYMKIT_SWAP_PARTS only some of all this.
. "$(dirname "$0")/swap-lib.sh"

# Those that live for a moment, too: they come and go while others work on what they share.
swap_age=0
seconds=${SYMKIT_SWAP_SECONDS:-20}
seed=${SYMKIT_SWAP_SEED:-1}
each=$(awk -v s="$seconds" 'BEGIN { printf "%.2f", s / (33 + 33) }')
other=
trap '[ -z "$other" ] || kill -9 "$other" 2>/dev/null; leave' EXIT
truncate -s 64M "$work/second.img"
truncate -s 400M "$work/data.img"

# begin VERSION CPUS - boot, with the job on stdin, to where the guest swaps.
begin() {
	swap_options 512M
	{ echo "touch /run/symjob-stay" && cat; } | job
	start "vmlinuz-$1" --initrd "$work/initrd" --cpus "$2" --memory 256M --cmdline quiet \
		--disk "$work/job.img,ro,serial=symjob" --disk "$work/second.img" \
		--disk "$work/data.img" "${swap_options[@]}"
	console "swap is on" 100
	swapping
}

# served [NAME] - faults were served by mapping, and mappings put back.
served() {
	[ "$swap" = bypass ] || return 0
	echo "    ${1:-test}: $(symctl swapbypass stat "${1:-test}" | tr -s ' ' | paste -s -d,)"
	[ "$(stat_of .maps "${1:-test}")" -gt 0 ] || fail "nothing was ever mapped"
	[ "$(stat_of .restores "${1:-test}")" -gt 0 ] || fail "nothing was ever put back"
}

torture() { # version
	tortured "$1" 4
	tortured "$1" 1
}

tortured_4() { # version
	tortured "$1" 4
}

tortured() { # version, CPUs
	echo "$1, $2 vCPUs: torture"
	begin "$1" "$2" <<J
$(swap_script 512M)
mkswap /dev/vdb >/dev/null
swaptorture --seconds $each --seed $seed --threads 2 --swap \$dev --swap2 /dev/vdb \\
	--disk /dev/vdc all || $swap_failed
$swap_dmesg
J
	done_well $((seconds * 2 + 300))
	sed -n '/^[a-z-]* *ok /s/^/    /p; /^swaptorture/s/^/    /p' "$work/console"
	grep -qa '^swaptorture: .* 0 skipped' "$work/console" || fail "some were skipped"
	served
	end
}

# change LEVEL REACHED - from outside, while the guest works.
change() {
	symctl swapbypass "$1" test >"$work/out" 2>&1 || fail "$1: $(cat "$work/out")"
	level "$2" || fail "$1: $(symctl swapbypass stat test)"
	changes=$((changes + 1))
}

# With more than fits into memory between bypass and device; with less also off.
levels() { # version
	echo "$1, 4 vCPUs: levels change under load"
	begin "$1" 4 <<J
$(swap_script 512M)
swaptorture --seconds 8 --seed $seed random || $swap_failed
echo "less than memory"
swaptorture --seconds 8 --seed $seed --set 80M pageout || $swap_failed
echo "no more load"
await off
rmmod symswap || exit
insmod /symkit/01-symswap.ko || exit
echo "loaded again"
until grep -q symswap0 /proc/swaps; do sleep 0.2; done
! rmmod symswap 2>/dev/null || exit
swaptorture --seconds 2 --seed $seed random || $swap_failed
$swap_dmesg
J
	changes=0
	console "^swaptorture: set of" 60
	until grep -qa 'less than memory' "$work/console"; do
		change device device
		sleep 0.5
		change on bypass
		sleep 0.5
	done
	until grep -qa 'no more load' "$work/console"; do
		change off off
		sleep 0.5
		change on bypass
		sleep 0.5
	done
	change off off
	# Its contents there are not needed any more, and the host has the memory back.
	[ "$(stat_of .lent)" -le 65536 ] || fail "off: $(stat_of .lent) bytes are lent"
	tell off
	console "loaded again" 60
	wait_for 20 symctl swapbypass on test
	change on bypass
	done_well 100
	served
	echo "    $changes changes, longest stalls:" \
		"$(grep -aoE '^(random|pageout).*longest [0-9.]* ms' "$work/console" |
			sed 's/ .*longest//' | paste -s -d,)"
	end
}

# The VMM takes memory all the time, of slots that the guest's kernel frees and uses again.
taken() { # version
	local rounds=0 punched=0
	echo "$1, 4 vCPUs: memory is taken under load"
	begin "$1" 4 <<J
$(swap_script 512M)
swaptorture --seconds $((seconds / 4)) --seed $seed --threads 2 random fork pageout || $swap_failed
$swap_dmesg
J
	console "^swaptorture: set of" 60
	until grep -qa '^SYMJOB: exit' "$work/console"; do
		symctl swapbypass reclaim test 32M --json >"$work/out" 2>&1 ||
			fail "reclaim: $(cat "$work/out")"
		punched=$((punched + $(jq .punched "$work/out")))
		rounds=$((rounds + 1))
		sleep 0.2
	done
	done_well 60
	[ $punched -gt 0 ] || fail "nothing was taken"
	served
	echo "    $rounds times, $((punched >> 20)) MiB"
	end
}

# Contents differ by their seeds: pages of the other one would be found.
both() { # version
	echo "$1: two guests at once"
	begin "$1" 2 <<J
$(swap_script 512M)
swaptorture --seconds 8 --seed 11 random pageout fork || $swap_failed
$swap_dmesg
J
	sed 's/--seed 11/--seed 22/' "$work/job.img" >"$work/other.img"
	cp "$work/go.img" "$work/other-go.img"
	symvmm run --name other --kernel "$guest/vmlinuz-$1" --initrd "$work/initrd" \
		--cpus 2 --memory 256M --cmdline quiet --console "file:$work/other" \
		--disk "$work/other.img,ro,serial=symjob" \
		"${swap_options[@]/go.img/other-go.img}" 2>"$work/stderr" </dev/null &
	other=$!
	done_well 300
	wait_for 300 grep -qa "SYMJOB: exit" "$work/other" || fail "the other did not end"
	cp "$work/other" "$work/console"
	done_well 1
	served
	served other
	symctl stop --force --timeout 1 other >/dev/null 2>&1
	wait $other
	other=
	end
}

# as_device VERSION COMMAND REASON - after COMMAND in the guest there is the device, and REASON.
as_device() {
	swap_options 512M
	job <<J
touch /run/symjob-stay
$2
$(swap_script 512M)
swaptorture --seconds 2 --seed $seed random
J
	start "vmlinuz-$1" --initrd "$work/initrd" --cpus 2 --memory 256M --cmdline quiet \
		--disk "$work/job.img,ro,serial=symjob" "${swap_options[@]}"
	console "swap is on" 100
	wait_for 20 level device || fail "$(symctl swapbypass stat test)"
	expect "$(stat_of .reason)" "$3" "reason"
	tell go
	console "SYMJOB: exit 0" 200
	expect "$(stat_of .maps)" 0 "pages mapped"
	symctl swapbypass on test >"$work/out" 2>&1
	level device || fail "on: $(symctl swapbypass stat test)"
	# Slots beyond the limit are held, and released when the guest stops swapping to it.
	symctl swapbypass limit test 256M >"$work/out" 2>&1 || fail "limit: $(cat "$work/out")"
	[ "$(stat_of .held)" -gt 0 ] || fail "limit: $(symctl swapbypass stat test)"
	symctl swapbypass off test >"$work/out" 2>&1 || fail "off: $(cat "$work/out")"
	level off || fail "off: $(symctl swapbypass stat test)"
	end
}

# Where a hook cannot be set.  Since 7.0 ftrace cannot be disabled.
unhooked() { # version
	echo "$1: ftrace is off"
	as_device "$1" "echo 0 >/proc/sys/kernel/ftrace_enabled" \
		"__get_user_pages cannot be hooked (-16)"
}

# Where another part of the kernel keeps pages.  The oldest has no zswap.
zswapped() { # version
	echo "$1: zswap is on"
	as_device "$1" "echo 1 >/sys/module/zswap/parameters/enabled" \
		"zswap is or was enabled in the guest"
}

# The LRU that the kernel does not have by default, where the walkers differ.
other_lru() { # version
	echo "$1, 4 vCPUs: the other LRU"
	begin "$1" 4 <<J
$(swap_script 512M)
lru=/sys/kernel/mm/lru_gen/enabled
was=\$(cat \$lru)
[ "\$was" = 0x0000 ] && echo y >\$lru || echo n >\$lru
echo "lru_gen was \$was, is \$(cat \$lru)"
[ "\$was" != "\$(cat \$lru)" ] || exit
swaptorture --seconds 3 --seed $seed --threads 2 --disk /dev/vdc random fork pageout direct ||
	$swap_failed
$swap_dmesg
J
	done_well 200
	sed -n '/^lru_gen was/s/^/    /p' "$work/console"
	served
	end
}

# parts KERNEL
parts() {
	local refused=unhooked
	case $1 in 7.*) refused=zswapped ;; esac
	if [ "$swap" != bypass ]; then
		echo torture
	elif [ -n "${SYMKIT_SWAP_PARTS:-}" ]; then
		echo "$SYMKIT_SWAP_PARTS"
	elif [ "$1" = "$newest" ] || [ -n "${SYMKIT_AT_LENGTH:-}" ]; then
		echo torture taken other_lru levels both $refused
	elif [ "$1" = "$oldest" ]; then
		echo tortured_4 taken levels $refused
	else
		echo tortured_4
	fi
}

[ $# -gt 0 ] || set -- "$oldest" "$newest"
for version in "$@"; do
	swap_initrd "$version" "$top/build/tests/guest/swaptorture"
	for part in $(parts "$version"); do
		"$part" "$version"
	done
done
