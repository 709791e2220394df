#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# vsock with a Debian guest: requests and answers over half-closed connections, both ways; a
# guest that sends and closes, a host that reads late; a VM that was killed leaves nothing in
# the way of the next; no descriptors left.
. "$(dirname "$0")/lib.sh"

job <<'J'
modprobe vmw_vsock_virtio_transport
socat -t 20 VSOCK-LISTEN:6000,fork SYSTEM:'n=$(wc -c); sleep 1; echo got $n' &
sleep 1
echo LISTENING
for n in 5 300000; do
	echo "answer $(head -c $n /dev/zero | socat -t 20 - VSOCK-CONNECT:2:5001)"
done
for n in 190000 225000 255000; do
	head -c $n /dev/zero | socat -u - VSOCK-CONNECT:2:5000
done
echo "ALL SENT"
touch /run/symjob-stay
wait
J
socat -t 20 UNIX-LISTEN:"$work/vs_5001",fork SYSTEM:'n=$(wc -c); echo got $n' &
# Longer than the 8 s that Linux waits for the end of a connection that it has closed.
socat -u UNIX-LISTEN:"$work/vs_5000",fork SYSTEM:"sleep 14; wc -c >>$work/got" &
start_debian 6.1 --vsock "5,path=$work/vs"
console LISTENING 150
for n in 5 300000; do
	answer=$( (echo "CONNECT 6000" && head -c $n /dev/zero) |
		socat -t 30 - UNIX-CONNECT:"$work/vs" | tail -n 1)
	expect "$answer" "got $n" "answer to a request of the host's"
done
echo "half-closed by the host: ok"
console 'ALL SENT' 60
for n in 5 300000; do
	grep -qa "answer got $n" "$work/console" || fail "no answer to a request of $n bytes"
done
echo "half-closed by the guest: ok"
wait_for 40 test "$(wc -l <"$work/got" 2>/dev/null || echo 0)" = 3 || sleep 15
for n in 190000 225000 255000; do
	grep -qx $n "$work/got" || fail "$n bytes were sent, these arrived: $(paste -s "$work/got")"
done
echo "closed before all was read: ok"
kill %1 %2 2>/dev/null
symctl stop test --force --timeout 1 >/dev/null
finish 20

for option in 5 "5,path=$work/again"; do
	for _ in 1 2; do
		job <<'J'
touch /run/symjob-stay
J
		start_tiny 6.1 --vsock "$option"
		console 'INIT: no job' 60
		kill -9 "$vm"
		wait "$vm" 2>/dev/null
	done
done
vm=
echo "killed and started again: ok"

# Few descriptors, many clients that never send CONNECT.
: >"$work/console"
(ulimit -n 80 && exec symvmm run --name test --kernel "$guest/vmlinuz-6.1" \
	--initrd "$guest/tiny-initrd-6.1" --memory 256M --console "file:$work/console" \
	--disk "$work/job.img,ro,serial=symjob" --vsock "5,path=$work/few" --cmdline quiet \
	2>"$work/stderr" </dev/null) &
vm=$!
console 'INIT: no job' 60
for _ in $(seq 60); do
	sleep 4 | socat - UNIX-CONNECT:"$work/few" >/dev/null 2>&1 &
done
sleep 2
thread=$(grep -l '^vsock0' /proc/$vm/task/*/comm)
ticks() { awk '{ print $14 + $15 }' "${thread%/comm}/stat"; }
before=$(ticks)
symctl info test >/dev/null || fail "the owner was turned away"
sleep 2
[ $(($(ticks) - before)) -lt 60 ] || fail "the thread of vsock spins"
symctl stop test --force --timeout 1 >/dev/null || fail "forced stop without descriptors"
finish 20
echo "no descriptors left: ok"
