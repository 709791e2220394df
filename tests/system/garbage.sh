#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# garbage.sh [KERNEL...]: a VMM writes garbage into its page for the guest
# (tests/system/garbage.c): the guest's module refuses it in one line, or continues if that does no
# harm, and works with the next generation that makes sense.
. "$(dirname "$0")/lib.sh"

[ $# -gt 0 ] || set -- "$newest"

# Garbage that every module must refuse; it must survive the rest.
refuse="magic version kind size used short generation odd zero ones page"
refuse+=" area-magic area-generation area-zero area item"
rounds=40

hammer=
trap 'kill $hammer 2>/dev/null; leave' EXIT
job <<J
dmesg -n 1
i=0
while [ \$((i += 1)) -le $rounds ]; do
	dmesg -c >/dev/null
	if insmod /symkit/00-symbiotic.ko 2>/dev/null; then
		insmod /symkit/01-symtest.ko
		symvalue phase working 1 greeting >/dev/null 2>&1
		echo "host greeting" >/dev/symtest && cat /dev/symtest >/dev/null
		rmmod symtest
		rmmod symbiotic && echo "carried on"
	fi
	dmesg | grep -E 'symbiotic: (feat|registration)|BUG|Oops|Call Trace|fault|WARN'
done
echo "garbage is over"
J

said() { # PATTERN: the number of matching lines on the console
	grep -acE "$1" "$work/console"
}
for version in "$@"; do
	rm -f "$work/initrd"
	mkdir -p "$work/bin"
	ln -sf "$top/build/tests/symvmm-garbage" "$work/bin/symvmm"
	with_programs "$version" "$top/build/tests/guest/symvalue"
	PATH=$work/bin:$PATH start_symbiotic "$version" --cpus 2 --cmdline quiet
	while :; do # something rings all the time
		symctl call test symtest.echo 1 2 --vcpu $((RANDOM % 2)) --deadline 300
		sleep 0.1
	done >/dev/null 2>&1 &
	hammer=$!
	console "garbage is over" 400
	kill $hammer
	wait $hammer 2>/dev/null

	! grep -aE 'BUG|Oops|Call Trace|fault|WARN' "$work/console" || fail "$version: the guest"
	generations=$(grep -c '^garbage: generation' "$work/stderr")
	words=$(sed -n 's/^garbage: generation .*: //p' "$work/stderr" | sort -u)
	expect "$(echo "$words" | wc -l)" 23 "$version: kinds of nonsense"
	refused=$(said 'symbiotic: registration failed')
	taken=$(said 'symbiotic: features .* generation')
	expect $((refused + taken)) "$generations" "$version: a line for each generation"
	expect "$(said '^carried on')" "$taken" "$version: loaded and unloaded again"
	while read -r n word; do
		n=$(said "symbiotic: features .* generation ${n}[^0-9]*$")
		case " $refuse " in
		*" $word "*) expect "$n" 0 "$version: $word was taken" ;;
		esac
		[ "$word" != nothing ] || expect "$n" 1 "$version: what made sense was refused"
	done < <(sed -n 's/^garbage: generation \([0-9]*\): /\1 /p' "$work/stderr")
	echo "$version: $generations generations, $refused refused, $taken lived through"
	symctl stop --force --timeout 1 test >/dev/null 2>&1
	wait "$vm"
	vm=
done
echo "garbage: all held"
