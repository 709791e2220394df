#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# debian.sh [KERNEL]: a Debian userland with this kernel: login prompt, network download, forwarded port,
# entropy, vsock, discard; and a stop by the power button.
. "$(dirname "$0")/lib.sh"

mkdir "$work/www"
head -c 3000000 /dev/urandom >"$work/www/file"
sum=$(sha256sum <"$work/www/file" | cut -c1-64)
busybox httpd -f -p 127.0.0.1:8123 -h "$work/www" &
httpd=$!
socat "UNIX-LISTEN:$work/vs_5000,fork" "SYSTEM:echo answer" &
job <<'J'
wget -q -O /tmp/file http://10.0.2.2:8123/file
echo "download $(sha256sum </tmp/file | cut -c1-64)"
echo "entropy $(head -c 32 /dev/hwrng | wc -c)"
modprobe vmw_vsock_virtio_transport # udev may not have come to it yet
echo "vsock $(echo ask | timeout 20 socat -t 10 - VSOCK-CONNECT:2:5000)"
echo "trim $(fstrim -v / | grep -c trimmed)"
echo "failed units $(systemctl --failed --no-legend | wc -l)"
socat TCP-LISTEN:7000,reuseaddr SYSTEM:'echo hello from the guest' &
socat VSOCK-LISTEN:6000 SYSTEM:'echo hello over vsock' &
touch /run/symjob-stay
sleep 1
echo "job is done"
wait # systemd ends processes that a service leaves
J
try() {
	start_debian "$1" --cpus 2 --net user,hostfwd=tcp:7123:7000 --vsock "5,path=$work/vs"
	console 'debian login:|root@debian' 150
	console "job is done" 150
	grep -qa "download $sum" "$work/console" || fail "$1: the download differs"
	grep -qa 'entropy 32' "$work/console" || fail "$1: no entropy from the device"
	grep -qa 'vsock answer' "$work/console" || fail "$1: no vsock connection to the host"
	grep -qa 'trim 1' "$work/console" || fail "$1: fstrim"
	grep -qa 'failed units 0' "$work/console" || fail "$1: a unit failed"
	expect "$(timeout 20 socat -t 10 - TCP:127.0.0.1:7123 </dev/null)" "hello from the guest" \
		"$1: forwarded port"
	expect "$( (printf 'CONNECT 6000\n'; sleep 5) | timeout 20 socat -t 5 - "UNIX:$work/vs" |
		tail -n 1)" "hello over vsock" "$1: vsock connection from the host"
	symctl stop test --timeout 60 || fail "$1: clean stop by the power button"
	finish 20
	expect "$status" 0 "$1: exit status"
	clean_dmesg
	echo "Debian on $1: ok"
}
try "${1:-6.1}"
kill $httpd
