#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Four vCPUs under load without a lockup; the clock over pause and resume; what symctl
# says meanwhile.
. "$(dirname "$0")/lib.sh"

job <<'J'
stress-ng --quiet --cpu 4 --switch 2 --fork 2 --vm 1 --vm-bytes 64M --timeout 15s
echo "stress-ng exit $?"
echo "cpus $(nproc)"
while :; do echo "clock $(date +%s.%N)"; sleep 0.5; done
J
start_debian 6.1 --cpus 4
console 'cpus 4' 200
grep -qa 'stress-ng exit 0' "$work/console" || fail "stress-ng"
# The first clock readings, before the pause.
console 'clock ' 20
symctl info test --json >"$work/info" || fail "info"
expect "$(jq -r '.state, .cpus' "$work/info" | tr '\n' ' ')" "running 4 " "info"
symctl pause test || fail "pause"
expect "$(symctl info test --json | jq -r .state)" paused "state after pause"
sleep 1
lines=$(wc -l <"$work/console")
sleep 8
expect "$(wc -l <"$work/console")" "$lines" "lines of output while paused"
symctl resume test || fail "resume"
sleep 4
# Right after the pause the guest's clock agrees with the host's.
now=$(date +%s.%N)
last=$(sed -n 's/.*clock //p' "$work/console" | tail -n 1 | tr -d '\r')
awk -v a="$now" -v b="$last" 'BEGIN { d = a - b; exit !(d > -2 && d < 4) }' ||
	fail "clock: the guest says $last, the host $now"
sleep 25 # long enough for the watchdog to complain
clean_dmesg
symctl metrics test >"$work/metrics" || fail "metrics"
for name in 'symkit_vcpu_exits_total{vm="test",vcpu="3",reason="io"}' symkit_guest_memory_bytes \
	'symkit_disk_requests_total{vm="test",device="blk0",op="read"}'; do
	grep -qF "$name" "$work/metrics" || fail "metrics: $name is missing"
done
symctl list | grep -q test || fail "list"
symctl frobnicate test 2>/dev/null && fail "an unknown command was accepted"
symctl info nobody 2>"$work/err" && fail "a VM that is not there"
grep -q nobody "$work/err" || fail "the missing VM is not named"
symctl stop test --timeout 60 || fail "stop"
finish 20
expect "$status" 0 "exit status"
echo "four vCPUs, pause and resume, control: ok"
