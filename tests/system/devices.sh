#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Devices in a tiny guest: several disks, read-only ones, the virtio console, the console
# socket with its history, a tap device.
. "$(dirname "$0")/lib.sh"

truncate -s 8M "$work/a.img" "$work/b.img"
printf 'b-is-here' | dd of="$work/b.img" conv=notrunc status=none
job <<'J'
for block in /sys/block/vd*; do
	echo "disk $(cat $block/serial) ro $(cat $block/ro) sectors $(cat $block/size)"
done
dd if=/dev/vdb of=/dev/null bs=1M 2>/dev/null && echo "read $(head -c 9 /dev/vdc)"
echo "written by the guest" | dd of=/dev/vdb conv=fsync 2>/dev/null
echo x | dd of=/dev/vdc conv=fsync 2>/dev/null || echo "read-only holds"
ip addr add 192.0.2.2/24 dev eth0 && ip link set eth0 up && ping -c 2 -W 5 192.0.2.1 >/dev/null &&
	echo "tap works"
echo "on hvc0" >/dev/hvc0
J
tap=()
[ -w /dev/net/tun ] && [ "$(id -u)" = 0 ] && tap=(--net tap=symtap0)

# tap_up - give the host's end an address as soon as it is there.
tap_up() {
	for ((i = 0; i < 200; i++)); do
		ip addr add 192.0.2.1/24 dev symtap0 2>/dev/null && ip link set symtap0 up && break
		sleep 0.1
	done
}
tap_up &
start_tiny 6.1 --disk "$work/a.img,serial=first" --disk "$work/b.img,ro,serial=second" \
	"${tap[@]}" --console-device virtio --cmdline "quiet console=ttyS0"
finish 90
expect "$status" 0 "exit status"
for line in 'disk first ro 0 sectors 16384' 'disk second ro 1 sectors 16384' 'read b-is-here' \
	'read-only holds' 'on hvc0'; do
	grep -qa "$line" "$work/console" || fail "missing on the console: $line"
done
[ ${#tap[@]} -eq 0 ] || grep -qa 'tap works' "$work/console" || fail "no ping over the tap"
expect "$(head -c 20 "$work/a.img")" "written by the guest" "the first disk"
expect "$(head -c 9 "$work/b.img")" "b-is-here" "the second disk"
echo "disks, tap, virtio console: ok"

# The tap as file descriptor 3, as a privileged parent opens it.
if [ ${#tap[@]} -gt 0 ]; then
	symvmm() {
		exec "$top/build/tests/system/tapfd" symtap0 symvmm "$@"
	}
	tap=(--net fd=3)
	tap_up &
fi
job <<'J'
echo "early line"
touch /run/symjob-stay
ip addr add 192.0.2.2/24 dev eth0 && ip link set eth0 up && ping -c 2 -W 5 192.0.2.1 >/dev/null &&
	echo "tap by descriptor works"
J
start_tiny 6.1 "${tap[@]}"
console 'INIT: no job' 60
expect "$(symctl console test --history | grep -ac 'early line')" 1 "history of the console"
(echo 'echo $((6 * 7)) is the answer'; sleep 3) | timeout 20 symctl console test >"$work/late"
grep -qa '42 is the answer' "$work/late" || fail "typing into the console"
[ ${#tap[@]} -eq 0 ] || grep -qa 'tap by descriptor works' "$work/console" ||
	fail "no ping over the tap's descriptor"
echo "console socket: ok"

# Deleting the tap takes the link down, and has no other effect.
if [ ${#tap[@]} -gt 0 ]; then
	ip link del symtap0
	sleep 1
	thread=$(grep -l '^net0' /proc/$vm/task/*/comm)
	before=$(awk '{ print $14 + $15 }' "${thread%/comm}/stat")
	(symctl events test --history >"$work/events" & sleep 2; kill $!)
	grep -q 'net_down' "$work/events" || fail "no event: $(cat "$work/events")"
	[ $(($(awk '{ print $14 + $15 }' "${thread%/comm}/stat") - before)) -lt 60 ] ||
		fail "the card's thread spins"
	echo "deleted tap: ok"
fi
symctl stop test --force --timeout 1 || fail "forced stop"
finish 10

unset -f symvmm

# A script on stdin: all of it comes long before anybody listens in the guest.  Then typing.
job <<'J'
touch /run/symjob-stay
J
for i in $(seq 1 80); do echo "echo line-$i-ok"; done >"$work/commands"
symvmm run --name test --kernel "$guest/vmlinuz-6.1" --initrd "$guest/tiny-initrd-6.1" \
	--memory 256M --disk "$work/job.img,ro,serial=symjob" --cmdline quiet \
	<"$work/commands" >"$work/console" 2>"$work/stderr" &
vm=$!
console '^line-80-ok' 60
ran=$(grep -ac '^line-.*-ok' "$work/console")
# The kernel itself opens the port twice before the shell does, and may drop a little each time.
[ "$ran" -ge 60 ] || fail "$ran of 80 lines of a script arrived"
(printf '\necho typed-la''ter\n'; sleep 3) | timeout 10 symctl console test >"$work/late"
grep -qa '^typed-later' "$work/late" || fail "the console takes no input any more"
symctl stop test --force --timeout 1 >/dev/null || fail "forced stop"
finish 10
echo "a script on stdin: $ran of 80 lines"

# The file system of the log is full for a while.
mkdir "$work/small"
mount -t tmpfs -o size=16k tmpfs "$work/small"
truncate -s 4k "$work/flag"
job <<'J'
for i in $(seq 1 400); do echo "$i 0123456789012345678901234567890123456789012345678901234567890"; done
echo full | dd of=/dev/vdb conv=sync,fsync 2>/dev/null
sleep 4
echo "there is room again"
J
start vmlinuz-6.1 --initrd "$guest/tiny-initrd-6.1" --cmdline quiet --console "file:$work/small/log" \
	--disk "$work/job.img,ro,serial=symjob" --disk "$work/flag"
wait_for 60 grep -q full "$work/flag" || fail "the guest said nothing"
mount -o remount,size=1M "$work/small"
finish 60
expect "$status" 0 "exit status"
grep -qa 'there is room again' "$work/small/log" || fail "the log ended when it was full"
expect "$(stat -c %a "$work/small/log")" 600 "mode of the log"
umount "$work/small"
echo "a log without room: ok"
