#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Guests for which a module is missing on the host: the owner is told which, where it was
# looked for, and that swap memory cannot be had; nothing is kept of what was refused.  A guest
# that has the module itself is asked to load it.
. "$(dirname "$0")/lib.sh"

release=$(cat "$guest/release-6.1")
none=$work/none
some=$work/some
mkdir -p "$none" "$some/$release"
cp "$top/build/modules/$release/symbiotic.ko" "$some/$release" || fail "no module for $release"

# told COMMAND... - its output names the missing module.
told() {
	status_of "$@" >/dev/null
	grep -qF "$missing" "$work/out" || fail "$*: '$missing' is not in: $(cat "$work/out")"
}
# refused - swap memory is, in one line, and stays off.
refused() {
	expect "$(status_of symctl swapbypass off test)" 0 "status of off"
	for word in on device; do
		expect "$(status_of symctl swapbypass "$word" test)" 1 "status of $word"
		expect "$(wc -l <"$work/out")" 1 "lines of $word: $(cat "$work/out")"
		told symctl swapbypass "$word" test
	done
	expect "$(symctl swapbypass stat test --json | jq -r .wanted)" off "what is wanted"
	told symctl swapbypass stat test
}

job <<'J'
touch /run/symjob-stay
for ko in /symkit/*.ko; do insmod $ko; done 2>/dev/null
echo "guest is up"
J

# None at all.
missing="no module symbiotic for Linux $release in $none"
start_tiny 6.1 --modules "$none" --swapbypass 16M --cmdline quiet
console "guest is up" 90
grep -qF "symvmm: $missing" "$work/stderr" || fail "nothing on stderr: $(cat "$work/stderr")"
expect "$(grep -c symbiotic "$work/stderr")" 1 "lines on stderr"
told symctl info test
told symctl spy test
refused
symctl stop --force --timeout 1 test >/dev/null || fail "forced stop"
finish 10
echo "no module: ok"

# The interface is there, the module of SwapBypass is not.
missing="no module symswap for Linux $release in $some"
start_tiny 6.1 --modules "$some" --swapbypass 16M --cmdline quiet
console "guest is up" 90
wait_for 30 sh -c "symctl swapbypass stat test | grep -q 'no module symswap'" ||
	fail "no reason: $(symctl swapbypass stat test)"
grep -qF "symvmm: $missing" "$work/stderr" || fail "nothing on stderr: $(cat "$work/stderr")"
expect "$(grep -c 'no module' "$work/stderr")" 1 "lines on stderr"
refused
symctl stop --force --timeout 1 test >/dev/null || fail "forced stop"
finish 10
echo "no symswap: ok"

# The host has no symswap, but the guest has one of its own.
with_programs 6.1 /bin/true
own=$work/root/lib/modules/$release
mkdir -p "$own/extra"
cp "$top/build/modules/$release/symswap.ko" "$own/extra"
echo "extra/symswap.ko:" >"$own/modules.dep"
(cd "$work/root" && find lib | cpio --quiet -o -H newc -R 0:0) >>"$work/initrd"
start vmlinuz-6.1 --initrd "$work/initrd" --disk "$work/job.img,ro,serial=symjob" \
	--modules "$some" --swapbypass 16M --cmdline quiet
console "guest is up" 90
wait_for 60 sh -c "symctl module list test | grep -q symswap" ||
	fail "symswap of the guest's own: $(symctl swapbypass stat test)"
wait_for 60 sh -c "! symctl swapbypass stat test | grep -q 'no module symswap'" ||
	fail "a reason that is none any more: $(symctl swapbypass stat test)"
symctl stop --force --timeout 1 test >/dev/null || fail "forced stop"
finish 10
echo "symswap of the guest's own: ok"
