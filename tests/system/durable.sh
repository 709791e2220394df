#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Data that the guest fsynced survives kill -9 of the VMM, and the file system is intact.
. "$(dirname "$0")/lib.sh"

job <<'J'
touch /run/symjob-stay
mkdir /keep
for i in 1 2 3 4 5 6 7 8; do
	head -c 500000 /dev/urandom >/keep/$i
done
(cd /keep && sha256sum [1-8] >sums)
sync /keep/* /keep
echo "synced $(sha256sum </keep/sums | cut -c1-64)"
# Keep writing, so that the kill comes in the middle of a write.
while :; do head -c 100000 /dev/urandom >/keep/busy$((i++ % 50)); done
J
start_debian 6.1
console 'synced ' 120
sum=$(sed -n 's/.*synced //p' "$work/console" | tr -d '\r')
sleep 2
kill -9 "$vm"
wait "$vm" 2>/dev/null
vm=
# The journal is replayed, as at any boot; after that nothing may be wrong.
/sbin/e2fsck -p "$SYMKIT_DISK" >"$work/fsck" 2>&1
[ $? -le 1 ] || fail "e2fsck -p: $(cat "$work/fsck")"
/sbin/e2fsck -fn "$SYMKIT_DISK" >"$work/fsck" 2>&1 || fail "e2fsck -fn: $(cat "$work/fsck")"
/sbin/debugfs -R "dump /keep/sums $work/sums" "$SYMKIT_DISK" 2>/dev/null
expect "$(sha256sum <"$work/sums" | cut -c1-64)" "$sum" "the list of checksums"
mkdir "$work/keep"
for i in 1 2 3 4 5 6 7 8; do
	/sbin/debugfs -R "dump /keep/$i $work/keep/$i" "$SYMKIT_DISK" 2>/dev/null
done
(cd "$work/keep" && sha256sum -c --quiet ../sums) || fail "a file differs"
# The name is free again, whatever the kill left behind.
job <<'J'
echo again
J
start_tiny 6.1
finish 60
expect "$status" 0 "a VM of the same name after kill -9"
echo "kill -9: files whole, file system clean"
