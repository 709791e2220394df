#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The three example services with a tiny guest: hello calls it, iotag tells which of its
# processes use the disk, pressure sees its memory run low and recover.  And services that
# cannot be loaded.
. "$(dirname "$0")/lib.sh"

services=$top/build/services
truncate -s 64M "$work/disk.img"
job <<'J'
touch /run/symjob-stay
dmesg -n 5
insmod /symkit/00-symbiotic.ko && insmod /symkit/02-symexample.ko && echo "guest is up"
sleep 3
sh -c 'echo "reader is $$."; exec dd if=/dev/vdb of=/dev/null bs=64k count=100 iflag=direct' 2>/dev/null
sh -c 'echo "writer is $$."; exec dd if=/dev/zero of=/dev/vdb bs=64k count=50 oflag=direct' 2>/dev/null
exec 3>/dev/vdb # the last close writes back
dd if=/dev/zero of=/dev/vdb bs=4k count=2000 2>/dev/null
sync
echo "disk work is done"
mount -t tmpfs -o size=400m tmpfs /mnt
dd if=/dev/zero of=/mnt/hog bs=1M count=330 2>/dev/null
echo "memory is full"
sleep 4
rm /mnt/hog
echo "memory is free"
J

# service ARG... - a verb, its output in $work/out.
service() {
	expect "$(status_of symctl service test "$@")" 0 "service $*: $(cat "$work/out")"
}
# refused PATTERN ARG... - fails with one line that matches.
refused() {
	local pattern=$1
	shift
	expect "$(status_of symctl service test "$@")" 1 "service $*: $(cat "$work/out")"
	expect "$(wc -l <"$work/out")" 1 "service $*: lines in $(cat "$work/out")"
	grep -qE "$pattern" "$work/out" || fail "'$pattern' is not in: $(cat "$work/out")"
}
# cannot PATTERN OPTION... - symvmm does not start with these; its one line matches.
cannot() {
	local pattern=$1
	shift
	expect "$(status_of symvmm run --name bad --kernel "$guest/vmlinuz-$newest" "$@")" 1 \
		"exit status with $*"
	expect "$(wc -l <"$work/out")" 1 "lines with $*: $(cat "$work/out")"
	grep -qE "$pattern" "$work/out" || fail "'$pattern' is not in: $(cat "$work/out")"
	sed "s|$top/||g; s/^/    /" "$work/out"
}
# pid_of NAME - as the guest reports it.
pid_of() {
	sed -n "s/^$1 is \\([0-9]*\\)\\..*/\\1/p" "$work/console"
}
# requests PID - that iotag has charged to it.  Its name was another one before it was dd.
requests() {
	awk -v pid="$1" '$2 == pid { n += $1; dd += $3 == "dd" } END { print dd ? n : 0 }' "$work/out"
}
# event JQ - does one on record match?
event() {
	jq -se "any(.[]; $1)" "$work/events"
}
metric() {
	symctl metrics test | sed -n "s/^symkit_$1{.*} //p"
}

start_symbiotic "$newest" --cpus 2 --cmdline quiet --disk "$work/disk.img,notify=exit" \
	--service "$services/hello.so,example.add" --service "$services/iotag.so" \
	--service "$services/pressure.so,40,60"
wait_for 20 symctl info test || fail "no VM"
symctl events --history --json test >"$work/events" 2>/dev/null &
expect "$(symctl service test --json | jq -r '[.[].name] | join(" ")')" \
	"hello iotag pressure" "services"

# The guest answers hello's calls: one more each time.
answers() {
	jq -sc '[.[] | select(.event == "hello" and .data.status == 0) | .data.answer]' "$work/events"
}
four_answers() {
	[ "$(answers | jq length)" -ge 4 ]
}
console 'guest is up' 100
wait_for 30 four_answers || fail "hello: $(cat "$work/events")"
expect "$(answers | jq -c '.[0] as $first | .[:4] | map(. - $first)')" "[0,1,2,3]" \
	"hello's answers"
echo "hello: ok"

console 'disk work is done' 100
service iotag top 20
cat "$work/out"
# A disk that is still awake finds a request without a notification; on a busy machine it
# stays awake for many.
[ "$(requests "$(pid_of reader)")" -ge 25 ] || fail "requests of the reader"
[ "$(requests "$(pid_of writer)")" -ge 12 ] || fail "requests of the writer"
# Cached data is written back by sync, or by the kernel's thread for it.
awk '$3 == "sync" || $3 ~ /^kworker/ { n += $1 } END { exit !n }' "$work/out" ||
	fail "nobody wrote back: $(cat "$work/out")"
charged() { # to processes; "rows" counts these
	awk -v rows="${1:-}" '$2 ~ /^[0-9]/ { n += rows ? 1 : $1 } END { print n + 0 }' "$work/out"
}
[ "$(metric service_iotag_requests_total)" -ge "$(charged)" ] || fail "metric of iotag"
service iotag top 1
expect "$(charged rows)" 1 "rows of top 1: $(cat "$work/out")"
service iotag clear
refused "no verb 'nosuch'" iotag nosuch
refused "no service 'nosuch'" nosuch top
echo "iotag: ok"

console 'memory is full' 100
wait_for 20 event '.event == "memory_pressure" and .data.state == "low" and
	.data.available < .data.total * 0.4' || fail "no event of low memory: $(cat "$work/events")"
service pressure stat
expect "$(jq .pressed "$work/out")" true "pressed"
expect "$(metric service_pressure_low)" 1 "the gauge"
! event '.data.state == "recovered"' >/dev/null || fail "recovered too early"
console 'memory is free' 100
wait_for 20 event '.event == "memory_pressure" and .data.state == "recovered" and
	.data.available >= .data.total * 0.6' || fail "no recovery: $(cat "$work/events")"
service pressure stat
expect "$(jq .pressed "$work/out")" false "pressed"
expect "$(metric service_pressure_low)" 0 "the gauge, later"
expect "$(metric service_pressure_events_total)" 2 "events of pressure"
echo "pressure: ok"

symctl stop --force --timeout 1 test >/dev/null 2>&1
finish 10
clean_dmesg

cannot 'nosuch.so: cannot open shared object file' --service "$work/nosuch.so"
cannot 'README.md: .*invalid ELF header' --service "$top/README.md"
cannot 'not a service \(no symbol sym_service\)' --service "$top/build/libsym.so"
cannot "'hello' is loaded already" --service "$services/hello.so" --service "$services/hello.so,x"
cannot 'service pressure: LOW and HIGH' --service "$services/pressure.so,50,40"
cannot 'service iotag: takes no arguments' --service "$services/iotag.so,x"
cannot 'needs --symbiotic on' --service "$services/hello.so" --symbiotic off
