#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What is behind a network card: user-mode networking in its process (names, transfers,
# floods, its death), and a program on a Unix socket (passt).  In a network and mounts of
# its own, so that the machine's resolv.conf and ports are not touched.
[ -n "${SYMKIT_NET_TEST:-}" ] || exec env SYMKIT_NET_TEST=1 unshare --mount --net "$0" "$@"
. "$(dirname "$0")/lib.sh"

ip link set lo up
servers=()
stop_servers() {
	[ ${#servers[@]} -eq 0 ] || kill "${servers[@]}" 2>/dev/null
	leave
}
trap 'stop_servers' EXIT

serve() {
	"$@" >/dev/null 2>"$work/serve.err" &
	servers+=($!)
}

mkdir "$work/www"
head -c 3000000 /dev/urandom >"$work/www/file"
sum=$(sha256sum <"$work/www/file" | cut -c1-64)
serve busybox httpd -f -p 127.0.0.1:8123 -h "$work/www"
serve socat -u TCP-LISTEN:8124,bind=127.0.0.1,fork "CREATE:$work/upload"
serve "$top/build/tests/system/dnsd" 127.0.0.1 192.0.2.11
serve "$top/build/tests/system/dnsd" 127.0.0.2 192.0.2.22
echo "nameserver 127.0.0.1" >"$work/resolv.conf"
mount --bind "$work/resolv.conf" /etc/resolv.conf || fail "no resolv.conf of our own"

# net_process - the process id of the VM's network process.
net_process() {
	local child
	for child in $(cat "/proc/$vm/task/$vm/children"); do
		[ "$(cat "/proc/$child/comm")" != symvmm-net ] || echo "$child"
	done
}

files() {
	find "/proc/$1/fd" -mindepth 1 | wc -l
}

# ticks PID - its CPU time so far.
ticks() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# answered WHAT COMMAND... - within ten seconds, which are one or less outside the rig.
answered() {
	local what=$1
	shift
	timeout 10 "$@" >"$work/out" 2>&1 || fail "$what: $* is not answered: $(cat "$work/out")"
}

events() {
	timeout 4 symctl events --history test --json >"$work/events" 2>/dev/null
}

# link_down REASON - the guest sees it, one event reports it, and the VM continues.
link_down() {
	console 'carrier 0' 60
	events
	expect "$(grep -c '"net_down"' "$work/events")" 1 "events net_down"
	grep -q "\"device\": *\"net0\".*$1" "$work/events" || fail "no '$1' in the event net_down"
	answered "after the link went down" symctl info test
	grep -q '^state *running' "$work/out" || fail "the VM does not run any more"
}

# The functions of the guest's jobs.
guest_functions='
ask() { timeout 8 nslookup some.test 10.0.2.3 2>&1 | grep -o "192\.0\.2\..*" || echo none; }
transfers() { # address
	wget -q -O /tmp/file "http://$1:8123/file"
	echo "download $(sha256sum </tmp/file | cut -c1-64)"
	nc "$1" 8124 </tmp/file
	echo "uploaded"
}
until_unplugged() {
	while [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 0.2; done
	echo "carrier $(cat /sys/class/net/eth0/carrier)"
	sleep 15 # the owner looks
}
'

transferred() {
	console '^uploaded' 100
	grep -qa "^download $sum" "$work/console" || fail "$1: the download differs"
	wait_for 10 cmp "$work/upload" "$work/www/file" || fail "$1: the upload differs"
	rm -f "$work/upload"
}

user_mode() {
	local net before i clients=()
	job <<J
$guest_functions
ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
echo "first \$(ask)"
transfers 10.0.2.2
nc -l -p 7000 -e echo "hello from the guest" &
sleep 1
echo "change now"
sleep 8
echo "second \$(ask) \$(ask)"
udpports 10.0.2.2 9 1300
until_unplugged
J
	with_programs 6.1 "$top/build/tests/guest/udpports"
	start vmlinuz-6.1 --initrd "$work/initrd" --disk "$work/job.img,ro,serial=symjob" \
		--cmdline quiet --net user,hostfwd=tcp:7123:7000
	transferred "user-mode networking"
	grep -qa '^first 192.0.2.11' "$work/console" || fail "no name was resolved"
	console '^change now' 30
	expect "$(timeout 20 socat -t 10 - TCP:127.0.0.1:7123 </dev/null)" "hello from the guest" \
		"forwarded port"
	# With an address that is none for an IPv4 guest in front.
	printf 'nameserver fe80::1%%lo\nnameserver 127.0.0.2\n' >"$work/resolv.conf"
	console '^second' 60
	grep -qa '^second 192.0.2.22 192.0.2.22' "$work/console" ||
		fail "the name server is not the host's new one"

	before=$(files "$vm")
	console '^udpports: sent 1300' 60
	net=$(net_process)
	expect "$(wc -w <<<"$net")" 1 "network processes"
	for ((i = 0; i < 60; i++)); do
		sleep 30 | timeout 30 socat - TCP:127.0.0.1:7123 >/dev/null 2>&1 &
		clients+=($!)
	done
	answered "under a flood" symctl info test
	[ "$(files "$net")" -le 512 ] || fail "the network process has $(files "$net") files"
	[ "$(files "$vm")" -le $((before + 8)) ] || fail "the VMM has $(files "$vm") files, from $before"
	sleep 2
	i=$(ticks "$net")
	sleep 5
	[ $(($(ticks "$net") - i)) -lt 150 ] || fail "the network process spins"
	kill "${clients[@]}" 2>/dev/null
	answered "after the flood" symctl pause test
	answered "after the flood" symctl resume test

	kill -9 "$net"
	link_down "the network process closed the connection"
	finish 60
	expect "$status" 0 "exit status after the network process was killed"
	clean_dmesg
	echo "user-mode networking: ok"
}

# A VMM that is killed takes its network process along.
killed() {
	local net
	echo 'sleep 100' | job
	start_tiny 6.1 --net user --net user
	console 'INIT|Run /|SYMJOB|Linux' 60 2>/dev/null || wait_for 20 symctl info test
	net=$(net_process)
	expect "$(wc -w <<<"$net")" 2 "network processes of two cards"
	kill -9 "$vm"
	wait "$vm" 2>/dev/null
	vm=
	gone() {
		local pid
		for pid in $net; do
			! grep -q '^State:[[:space:]]*[^Z]' "/proc/$pid/status" 2>/dev/null || return 1
		done
	}
	wait_for 10 gone || fail "a network process outlives its VMM"
	echo "a VMM that is killed: ok"
}

# passt finds its addresses on an interface with a MAC address and a default route.
passt_peer() {
	ip tuntap add mode tap name up0 && ip addr add 198.51.100.2/24 dev up0 &&
		ip link set up0 up && ip route add default via 198.51.100.1 dev up0 ||
		fail "no interface for passt"
	mkdir "$work/passt" && chmod 711 "$work" && chmod 777 "$work/passt"
	passt --foreground --quiet --ipv4-only --socket "$work/passt/socket" \
		>"$work/passt.log" 2>&1 &
	servers+=($!)
	passt=$!
	wait_for 20 test -S "$work/passt/socket" || fail "passt: $(cat "$work/passt.log")"
	job <<J
$guest_functions
ip addr add 198.51.100.2/24 dev eth0; ip link set eth0 up; ip route add default via 198.51.100.1
transfers 198.51.100.1
until_unplugged
J
	start_tiny "$newest" --net "unix=$work/passt/socket"
	transferred passt
	answered passt symctl info test
	grep -q "^nets *unix $work/passt/socket" "$work/out" || fail "info does not name the socket"
	kill -9 $passt
	wait $passt 2>/dev/null
	link_down "$work/passt/socket closed the connection"
	finish 60
	expect "$status" 0 "exit status after passt was killed"
	clean_dmesg
	echo "passt: ok"
}

refused() {
	local ret
	ret=$(status_of timeout 20 symvmm run --kernel "$guest/vmlinuz-6.1" --console off "${@:2}")
	expect "$ret $(cat "$work/out")" "1 symvmm: $1" "refusal"
}

killed
user_mode
passt_peer
refused "--net user: forwarding tcp port 8123: Address already in use" \
	--net user,hostfwd=tcp:8123:80
refused "--net unix=$work/none: No such file or directory" --net "unix=$work/none"
refused "--net unix=$work/passt/socket: Connection refused" --net "unix=$work/passt/socket"
[ -z "$(pgrep -x symvmm-net)" ] || fail "a network process is left"
echo "refusals: ok"
