#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# hostile.sh [KERNEL...]: a guest that breaks every rule of the symbiotic interface
# (guest-modules/hostile), while the VMM reads its pages and calls it: the VMM answers, does not
# grow and says why; the guest keeps running; a VM beside it does not notice.
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- "$oldest" "$newest"

stress=$top/build/tests/services/stress.so
peer=
hammer=
trap 'kill $hammer 2>/dev/null; [ -z "$peer" ] || kill -9 "$peer" 2>/dev/null; leave' EXIT

# The VM beside it: its calls are counted from outside for as long as it takes.
start_peer() {
	job <<'J'
insmod /symkit/00-symbiotic.ko && insmod /symkit/01-symtest.ko && echo "peer is up"
while :; do sleep 5; done
J
	start_symbiotic "$1" --name peer --memory 256M
	peer=$vm
	vm=
	wait_for 100 symctl call peer symtest.echo 1 2 || fail "$1: the peer"
	: >"$work/peer"
	while :; do
		if timeout 60 symctl call peer symtest.echo 40 2 --deadline 30000 2>&1 |
			grep -q '^0x2a '; then
			echo right
		else
			echo WRONG
		fi >>"$work/peer"
		sleep 0.3
	done &
	hammer+=" $!"
}
check_peer() {
	! grep -q WRONG "$work/peer" || fail "$1: the VM beside it: $(sort "$work/peer" | uniq -c)"
	[ "$(wc -l <"$work/peer")" -gt 20 ] || fail "$1: few calls of the VM beside it"
}

# The hostile guest does one line from its console after the other.
hostile_job() {
	job <<'J'
dmesg -n 5
exec </dev/ttyS0
stty -echo
insmod /symkit/02-symhostile.ko && echo "guest is up"
while read -r n line; do
	case $line in
	sh\ *) eval "${line#sh }" ;;
	both\ *) # on both CPUs at once
		echo "${line#both }" >/dev/symhostile & echo "${line#both }" >/dev/symhostile
		wait ;;
	*) echo "$line" >/dev/symhostile && cat /dev/symhostile ;;
	esac
	echo "step $n is done"
done
J
}
start_hostile() {
	local version=$1 input
	hostile_job
	with_programs "$version" /bin/true
	mkdir "$work/root/symkit"
	cp "$top/build/modules/$(cat "$guest/release-$version")/symhostile.ko" \
		"$work/root/symkit/02-symhostile.ko"
	(cd "$work/root" && find symkit | cpio --quiet -o -H newc -R 0:0) >"$work/extra"
	truncate -s %4 "$work/initrd"
	cat "$work/extra" >>"$work/initrd"
	rm -f "$work/input"
	mkfifo "$work/input"
	exec {input}<>"$work/input"
	to_guest=$input
	: >"$work/console"
	symvmm run --name test --kernel "$guest/vmlinuz-$version" --initrd "$work/initrd" \
		--modules "$top/build/modules" --initrd-modules symbiotic,symtest \
		--disk "$work/job.img,ro,serial=symjob" --memory 512M --cpus 2 \
		--cmdline "quiet panic=0" --service "$stress" \
		<"$work/input" >"$work/console" 2>"$work/stderr" &
	vm=$!
	step=0
	console "guest is up" 150
	symctl events test --json >"$work/events" 2>/dev/null &
	hammer+=" $!"
}

# tell COMMAND - make the guest run it; done SECONDS - wait until it has finished.
tell() {
	step=$((step + 1))
	echo "$step $*" >&"$to_guest"
}
done_within() {
	console "step $step is done" "$1"
	said=$(grep -aB 1 "step $step is done" "$work/console" | head -n 1 | tr -d '\r')
}
guest_does() { # COMMAND: its answer in $said
	tell "$@"
	done_within 120
}

# All requests to the VMM, while the guest runs its command.
hammer_once() {
	local context
	timeout 30 symctl spy test >/dev/null 2>&1
	[ $? != 124 ] || fail "$1: symctl spy hangs"
	for context in kick interrupt; do
		timeout 30 symctl call test hostile.nested 1 2 --context $context \
			--vcpu $((RANDOM % 2)) --deadline 200 --payload lie >/dev/null 2>&1
		[ $? != 124 ] || fail "$1: symctl call hangs"
	done
}
grown() { # private memory of the VMM, the guest's included, in KiB
	awk '/^VmData/ { print $2 }' "/proc/$vm/status"
}
alive() {
	kill -0 "$vm" 2>/dev/null || fail "$1: symvmm is gone"
	timeout 30 symctl info test >"$work/out" 2>&1 || fail "$1: info: $(cat "$work/out")"
}
events() { # PATTERN: how many so far
	grep -ac "$1" "$work/events"
}
event_since() { # COUNT PATTERN WHAT
	local i
	for ((i = 0; i < 100; i++)); do
		[ "$(events "$2")" -gt "$1" ] && return
		sleep 0.1
	done
	fail "$3: no event $2"
}

# one COMMAND - hammering while it lasts and once more after it.
one() {
	tell "$@"
	hammer_once "$*"
	done_within 120
	hammer_once "$*"
	alive "$*"
	echo "$version: $said"
}
# refused COMMAND - run it; the VMM must have refused all its attempts.
refused() {
	local before
	before=$(events symbiotic_fault)
	one "$@"
	case $said in
	*" accepted 0 "*) ;;
	*) fail "$version: $*: $said" ;;
	esac
	case $said in
	*" refused 0 "*) fail "$version: $*: tried nothing" ;;
	esac
	event_since "$before" symbiotic_fault "$version: $*"
}

# nested MODE PATTERN - a call to a handler that does this ends so; from a kick, from an
# exit with interrupts on and off, and from a hypercall.
nested() {
	local context out mode=$1 pattern=$2 n
	guest_does "mode $mode"
	out=$(timeout 30 symctl call test hostile.nested 1 2 --context kick --vcpu 1 \
		--deadline 300 2>&1)
	[[ $out =~ $pattern ]] || fail "$version: mode $mode: '$out', expected '$pattern'"
	for context in calls ports ports-off; do
		guest_does "mode $mode"
		symctl service test stress exits on >/dev/null 2>&1
		n=8
		[ "$3" = slow ] && n=2 # each costs a deadline until SymCall is closed
		tell "$context $n"
		done_within 60
		echo "$version: mode $mode: $said"
	done
	symctl service test stress exits off >/dev/null 2>&1
	alive "mode $mode"
	guest_does "sh sleep 1; echo still here"
	expect "$said" "still here" "$version: mode $mode"
}

hostile_tests() {
	local before lie data threads
	data=$(grown)
	threads=$(find "/proc/$vm/task" -mindepth 1 -maxdepth 1 | wc -l)
	refused outside 0x20000000
	refused order
	refused setups
	refused returns
	refused wrong 3000
	one overlap
	one move 2000
	before=$(events symbiotic_fault)
	one odd
	sleep 3
	hammer_once odd
	event_since "$before" symbiotic_fault "$version: odd"
	one change 2000
	before=$(events "SymSpy page is not valid")
	for ((lie = 0; ; lie++)); do
		one lie $lie
		case $said in *": 0 refused"*) break ;; esac
	done
	[ $lie -gt 10 ] || fail "lies"
	event_since "$before" "SymSpy page is not valid" "$version: lies"
	before=$(events "handler table are not valid")
	one table
	event_since "$before" "handler table are not valid" "$version: table"
	before=$(events symbiotic_gone)
	one storm 3
	one again 1000
	event_since "$before" symbiotic_gone "$version: generations"
	one posts 2500
	one changes 2000
	one random 2500
	guest_does "mode 0"
	symctl service test stress run kick 300 >/dev/null
	one move 2000
	symctl service test stress run interrupt 300 >/dev/null
	one both again 200
	one storm 2

	before=$(events call_timeout)
	nested 0 '^0x2a ' fast
	nested 1 '300 ms' slow # hang
	nested 2 '300 ms' slow # halt
	event_since "$before" call_timeout "$version: hang"
	nested 3 '^0x2a ' fast # tokens, cookies
	nested 4 'answer is not valid' fast # status, length
	nested 5 '^0x2a ' fast # hypercalls
	nested 6 'meanwhile' fast # registers again
	nested 7 'meanwhile' fast # leaves
	nested 8 'meanwhile' fast # takes its area back
	nested 9 '.' slow # rep outs
	guest_does "mode 10"
	# That the two meet is luck.
	for _ in 1 2 3 4 5 6 7 8; do
		tell "other 5000"
		timeout 30 symctl call test hostile.nested --context kick --vcpu 0 --deadline 3000 \
			>/dev/null 2>&1
		timeout 30 symctl call test hostile.nested --context kick --vcpu 1 --deadline 3000 \
			>/dev/null 2>&1
		done_within 60
		case $said in *" accepted 0 "*) ;; *) fail "$version: return from elsewhere" ;; esac
		case $said in "other: 0 "*) ;; *) break ;; esac
	done
	echo "$version: $said"
	case $said in "other: 0 "*) fail "$version: never met" ;; esac
	nested 11 '^0x2a ' fast # flags
	guest_does "far"
	timeout 30 symctl call test hostile.nested --context kick --deadline 300 \
		>"$work/out" 2>&1 && fail "$version: a GS base out of reach was used"
	alive far
	guest_does "returns"

	# No threads or memory of the VMM may remain.
	[ "$(find "/proc/$vm/task" -mindepth 1 -maxdepth 1 | wc -l)" -le $((threads + 2)) ] || fail "threads"
	[ "$(grown)" -lt $((data + 65536)) ] || fail "grown from $data to $(grown) KiB"
}

# A module that keeps the rules works afterwards.
fresh() {
	guest_does "sh rmmod symhostile && insmod /symkit/00-symbiotic.ko && insmod /symkit/01-symtest.ko && echo fresh"
	expect "$said" fresh "$version: symbiotic.ko after all that"
	symctl call test symtest.echo 40 2 --vcpu 1 --deadline 20000 2>&1 | grep -q '^0x2a ' ||
		fail "$version: call after all that"
	symctl call test symtest.echo 40 2 --context kick 2>&1 | grep -q '^0x2a ' ||
		fail "$version: kick after all that"
	symctl spy test >/dev/null || fail "$version: spy after all that"
	clean_dmesg
}

for version in "$@"; do
	rm -f "$work/initrd"
	start_peer "$version"
	start_hostile "$version"
	hostile_tests
	fresh
	# The guest's own end, by its own hand: an undefined instruction as a handler.
	guest_does "sh rmmod symtest symbiotic; insmod /symkit/02-symhostile.ko && echo back"
	guest_does "mode 12"
	timeout 30 symctl call test hostile.nested --context kick --deadline 300 >/dev/null 2>&1
	[ $? != 124 ] || fail "$version: fault: symctl hangs"
	sleep 1
	kill -0 "$vm" 2>/dev/null && alive fault
	check_peer "$version"
	# shellcheck disable=SC2086
	kill $hammer 2>/dev/null
	hammer=
	echo "$version: the VM beside it: $(wc -l <"$work/peer") calls"
	symctl stop --force --timeout 1 test >/dev/null 2>&1
	symctl stop --force --timeout 1 peer >/dev/null 2>&1
	wait "$vm" "$peer"
	vm=
	peer=
	exec {to_guest}>&-
done
echo "hostile: all held"
