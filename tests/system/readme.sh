#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# README.md's session, as somebody pastes it who has installed symkit: its commands in their
# order, each with status 0 and with the output that README shows.
. "$(dirname "$0")/lib.sh"

# What README shows is compared field by field, numbers with any number but 0, which is
# meant; a line "..." stands for any lines.  In a table with a column COMMAND, processes and
# numbers are those of the moment.
pattern() {
	awk '
	function quoted(s) { gsub(/[][\\.*^$+?(){}|]/, "\\\\&", s); return s }
	$0 == "..." { print "(.*)"; next }
	/^[A-Z ]+$/ { column = 0; for (i = 1; i <= NF; i++) if ($i == "COMMAND") column = i }
	{
		line = ""
		for (i = 1; i <= NF; i++) {
			field = quoted($i)
			if ($i ~ /^[0-9:]+$/ && (column || $i != "0"))
				field = "[0-9:]+"
			else if (column && i == column && $i != "COMMAND")
				field = "[^ \n]+"
			line = line (i > 1 ? " " : "") field
		}
		print line
	}' "$1"
}

make -s -C "$top" install DESTDIR="$work/stage" PREFIX=/usr >"$work/log" 2>&1 ||
	fail "make install: $(cat "$work/log")"
PATH=$work/stage/usr/bin:${PATH#"$top/build:"}
[ "$(command -v symvmm)" = "$work/stage/usr/bin/symvmm" ] || fail "no symvmm in the installation"

# The session's commands in $work/N.cmd, their output in $work/N.want.
awk -v dir="$work" '
	/^## / { ours = $0 == "## A session" }
	!ours { next }
	/^```/ { inside = !inside; next }
	!inside { next }
	/^\$ / { n++; more = 1; sub(/^\$ /, "") }
	more { more = /\\$/; sub(/ +# .*/, ""); print >(dir "/" n ".cmd"); next }
	{ print >(dir "/" n ".want") }' "$top/README.md"
count=$(find "$work" -name '*.cmd' | wc -l)
[ "$count" -ge 8 ] || fail "README.md's session has $count commands"

mkdir "$work/folder"
cd "$work/folder" || exit 1
ln -s "$guest/vmlinuz-6.1" vmlinuz
ln -s "$guest/initrd-6.1" initrd.img
ln -s "$SYMKIT_DISK" debian.img

# One shell with job control reads all of it, as from a terminal: a command that reads its
# input takes the next commands away.
for ((n = 1; n <= count; n++)); do
	printf 'exec >%q 2>&1\n' "$work/$n.out"
	cat "$work/$n.cmd"
	printf 'echo $? >%q\n' "$work/$n.status"
	[ "$n" -gt 1 ] || echo 'vm=$!'
done >"$work/session"
printf 'wait $vm\necho $? >%q\n' "$work/vm.status" >>"$work/session"
timeout -k 5 900 bash -m <"$work/session" >"$work/log" 2>&1 || echo "the session ended with $?"
symctl stop --force --timeout 1 web >/dev/null 2>&1 # if it went wrong

for ((n = 1; n <= count; n++)); do
	command=$(cat "$work/$n.cmd")
	[ -e "$work/$n.status" ] || fail "does not end: $command: $(tail -n 5 "$work/$n.out")"
	expect "$(cat "$work/$n.status")" 0 "status of $command: $(cat "$work/$n.out")"
	# Job numbers are the shell's.
	sed -E '/^\[[0-9]+\]/d; s/ +/ /g; s/^ | $//g' "$work/$n.out" | tr -d '\r' >"$work/got"
	want=
	[ ! -e "$work/$n.want" ] || want=$(pattern "$work/$n.want")
	[[ $(cat "$work/got") =~ ^$want$ ]] || fail "$command
printed:
$(cat "$work/$n.out")
where README.md has:
$(cat "$work/$n.want" 2>/dev/null)"
	echo "ok: $command"
	cat "$work/$n.out"
done
expect "$(cat "$work/vm.status")" 0 "symvmm's status"
