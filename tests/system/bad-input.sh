#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Each mistake a user can make gets one line that names the thing at fault, status 1 (2 for
# usage), and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

k=$guest/vmlinuz-6.1
printf 'not a kernel, but long enough%4000s' '' >"$work/text"
head -c 100000 "$k" >"$work/short"
head -c 1000000 "$guest/vmlinux-6.1" >"$work/short-elf"
truncate -s 1000 "$work/odd.img"
printf 'QFI\373%508s' '' >"$work/q.img"
truncate -s 1M "$work/q.img" "$work/good.img"
truncate -s 300M "$work/big-initrd"
printf 'memory = "256M";\nmemry = "1G";\n' >"$work/typo.conf"
printf 'memory = ;\n' >"$work/syntax.conf"
: >"$work/empty"

# refuse STATUS PATTERN OPTION... - symvmm run must fail like that.
refuse() {
	local want=$1 pattern=$2
	shift 2
	timeout 60 symvmm run "$@" >"$work/out" 2>"$work/err" </dev/null
	expect $? "$want" "status of: symvmm run $*"
	expect "$(wc -l <"$work/err")" 1 "lines of: $(cat "$work/err")"
	grep -qE -- "$pattern" "$work/err" || fail "'$(cat "$work/err")' does not match '$pattern'"
	[ -z "$(find "$SYMKIT_RUNTIME" -mindepth 1 ! -name '*.lock' 2>/dev/null)" ] ||
		fail "left behind: $(ls "$SYMKIT_RUNTIME")"
}
refuse 2 'kernel' --memory 256M
refuse 2 'bogus' --kernel "$k" --bogus
refuse 2 '--memory 12X' --kernel "$k" --memory 12X
refuse 2 '--cpus 0' --kernel "$k" --cpus 0
refuse 2 'surplus' --kernel "$k" surplus
refuse 1 "$work/none" --kernel "$work/none"
refuse 1 "$work: not a regular file" --kernel "$work"
refuse 1 "$work/empty: empty" --kernel "$work/empty"
refuse 1 "$work/text: neither" --kernel "$work/text"
refuse 1 "$work/short: truncated" --kernel "$work/short"
refuse 1 "$work/short-elf: truncated" --kernel "$work/short-elf"
refuse 1 "$work/noinitrd" --kernel "$k" --initrd "$work/noinitrd"
refuse 1 "$work/big-initrd.*fit" --kernel "$k" --initrd "$work/big-initrd" --memory 256M
refuse 1 'memory' --kernel "$k" --memory 32M
refuse 1 "$work/odd.img: 1000 bytes" --kernel "$k" --disk "$work/odd.img"
refuse 1 "$work/q.img: looks like a qcow2" --kernel "$k" --disk "$work/q.img"
refuse 1 "$work/nodisk" --kernel "$k" --disk "$work/nodisk"
refuse 1 "$work/good.img: in use" --kernel "$k" --disk "$work/good.img" --disk "$work/good.img"
refuse 1 "$work/none.conf" --kernel "$k" --config "$work/none.conf"
refuse 1 "$work/typo.conf:2: memry" --kernel "$k" --config "$work/typo.conf"
refuse 1 "$work/syntax.conf:1" --kernel "$k" --config "$work/syntax.conf"
refuse 2 '--swapbypass 1000: a multiple of 4096' --kernel "$k" --swapbypass 1000
refuse 2 '--swapbypass 2T' --kernel "$k" --swapbypass 2T
refuse 2 '--swapbypass-limit 2097152: more' --kernel "$k" --swapbypass 1M --swapbypass-limit 2M
refuse 2 '--swapbypass-file: there is no' --kernel "$k" --swapbypass-file "$work/window"
refuse 2 '--symbiotic is off' --kernel "$k" --swapbypass 1M --symbiotic off
refuse 1 "--swapbypass-file: $work/text: not empty" --kernel "$k" --swapbypass 1M \
	--swapbypass-file "$work/text"
refuse 1 "--swapbypass-file: $work/no/dir: No such" --kernel "$k" --swapbypass 1M \
	--swapbypass-file "$work/no/dir"
refuse 1 "--swapbypass-file: $work: .*directory" --kernel "$k" --swapbypass 1M \
	--swapbypass-file "$work"
refuse 1 "--swapbypass-file: $work/window: the window has 512000 MiB" --kernel "$k" \
	--swapbypass 500G --swapbypass-file "$work/window"
bits=$(sed -n 's/^address sizes[^:]*: \([0-9]*\) bits physical.*/\1/p' /proc/cpuinfo | head -n 1)
[ "${bits:-64}" -gt 40 ] ||
	refuse 1 '--swapbypass 1048576M: does not fit' --kernel "$k" --swapbypass 1T
[ ! -e "$work/window" ] || fail "the window's file was left behind"
refuse 1 'no/such/name' --kernel "$k" --name no/such/name
refuse 1 'fd=77: not an open tap' --kernel "$k" --net fd=77,mac=02:00:00:00:00:01
echo "bad input: ok"

# A name in use: the second VM is refused, the first continues.
job <<'J'
touch /run/symjob-stay
J
start_tiny 6.1
console 'INIT: no job' 60
timeout 20 symvmm run --name test --kernel "$k" 2>"$work/err" </dev/null
expect $? 1 "status for a name in use"
grep -q 'test' "$work/err" || fail "the name is not named"
expect "$(symctl info test --json | jq -r .state)" running "the first VM"
symctl stop test --force --timeout 1
finish 10

# No KVM, and no permission for it.
if [ "$(id -u)" = 0 ] && [ -n "${SYMKIT_IN_RIG:-}" ]; then
	mv /dev/kvm /dev/kvm.away
	refuse 1 '/dev/kvm: does not exist' --kernel "$k"
	symvmm check --quiet
	expect $? 4 "status of check without KVM"
	mv /dev/kvm.away /dev/kvm
	chmod 600 /dev/kvm
	mkdir -m 777 "$work/nobody"
	chmod 711 "$work"
	cp "$k" "$work/nobody/kernel"
	SYMKIT_RUNTIME=$work/nobody/run setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$top/build/symvmm" run --kernel "$work/nobody/kernel" 2>"$work/err" </dev/null
	expect $? 1 "status without permission"
	grep -q '/dev/kvm: permission denied' "$work/err" || fail "$(cat "$work/err")"
fi
echo "names and KVM: ok"
