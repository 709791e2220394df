#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# symmod.sh [KERNEL...]: guest modules in a Debian userland whose disk does not contain them:
# symbiotic comes with the initrd, others are installed and removed at run time.  On the oldest
# kernel and the newest also: what is refused is refused in one line; then the guest reboots,
# and all is as at first; but now its disk has a module of its own, which its modprobe loads.
. "$(dirname "$0")/lib.sh"

export SYMKIT_MODULES=$top/build/modules
job <<'J'
touch /run/symjob-stay
echo "disk knows $(find / -xdev -name 'sym*.ko*' | wc -l) modules"
echo "loaded: $(lsmod | grep -o '^sym[a-z]*' | sort | tr '\n' ' ')"
if [ -e /root/again ]; then
	rm /root/again
	extra=/lib/modules/$(uname -r)/extra
	mkdir "$extra"
	for block in /sys/block/vd*; do
		[ "$(cat "$block/serial")" != symko ] || tar -xf "/dev/${block##*/}" -C "$extra"
	done
	depmod
	echo "install symslow sleep 100" >/etc/modprobe.d/symslow.conf
	echo "booted again"
	until [ -e /sys/module/symexample ]; do sleep 0.5; done
	rm -r "$extra" /etc/modprobe.d/symslow.conf
	sync
	echo "own module is loaded"
	exit
fi
echo "booted once"
until [ -e /sys/module/symtest ]; do sleep 0.5; done
while [ -e /sys/module/symtest ]; do sleep 0.5; done
touch /root/again
systemctl reboot
J

says() {
	grep -qE "$1" "$work/out" || fail "'$1' is not in: $(cat "$work/out")"
}
# accepted ARG... - symctl does it.
accepted() {
	expect "$(status_of symctl "$@")" 0 "symctl $*: $(cat "$work/out")"
}
# refused PATTERN ARG... - symctl fails with one line, which matches.
refused() {
	local pattern=$1
	shift
	expect "$(status_of symctl "$@")" 1 "symctl $*: $(cat "$work/out")"
	expect "$(wc -l <"$work/out")" 1 "symctl $*: lines in $(cat "$work/out")"
	says "$pattern"
	sed "s|$work/||; s/^/    /" "$work/out"
}
# modules - those that the guest has, "+" for those installed by the VMM.
modules() {
	symctl module list test --json |
		jq -r '[.[] | .name + if .installed then "+" else "" end] | sort | join(" ")'
}
ready() {
	[ "$(symctl spy test --json | jq .generation)" = "$1" ]
}
# variant FILE SED-SCRIPT - $work/FILE: symexample for the guest, changed in place.
variant() {
	LC_ALL=C sed "$2" "$own/symexample.ko" >"$work/$1"
	expect "$(stat -c %s "$work/$1")" "$(stat -c %s "$own/symexample.ko")" "size of $1"
	! cmp -s "$work/$1" "$own/symexample.ko" || fail "$1 is as it was"
}
make_variants() {
	echo "no module, but text that is long enough to be one if it were: $(seq 50)" >"$work/text.ko"
	head -c 3000 "$own/symexample.ko" >"$work/cut.ko"
	cp "$own/symexample.ko" "$work/arm.ko"
	printf '\xb7' | dd of="$work/arm.ko" bs=1 seek=18 conv=notrunc status=none # e_machine
	variant needy.ko 's/depends=symbiotic/depends=symabsent/'
	variant alias.ko 's/\x00name=symexample/\x00name=symexamplf/'
	xz -c "$own/symexample.ko" >"$work/symexample.ko.xz"
	zstd -q -c "$own/symexample.ko" >"$work/symexample.ko.zst"
	gzip -c "$own/symtest.ko" >"$work/symtest.ko.gz"
	head -c 1000 "$work/symexample.ko.xz" >"$work/cut.ko.xz"
	tar -cf "$work/ko.img" -C "$own" symexample.ko
	variant magic.ko "s/\\(vermagic=[^ ]*\\) SMP /\\1 UMP /"
}
check_refused() {
	refused "no module nosuch for Linux ${release//+/.} in $SYMKIT_MODULES; $no_nosuch" \
		module install test nosuch
	refused "symtest is for Linux ${other_release//+/.}, the guest runs ${release//+/.}$" \
		module install test "$SYMKIT_MODULES/$other_release/symtest.ko"
	refused 'arm.ko: wrong architecture, x86-64 is needed$' \
		module install test "$work/arm.ko"
	refused 'text.ko: not a kernel module \(not an ELF file\)$' \
		module install test "$work/text.ko"
	refused 'symctl: not a kernel module \(not a relocatable file\)$' \
		module install test "$top/build/symctl"
	refused 'cut.ko: not a complete kernel module \(truncated\)$' \
		module install test "$work/cut.ko"
	refused 'cut.ko.xz: truncated xz data$' module install test "$work/cut.ko.xz"
	refused 'absent.ko: No such file or directory$' module install test "$work/absent.ko"
	refused 'symexample needs module symabsent, which the guest does not have' \
		module install test "$work/needy.ko"
	# The guest's own loader has the last word.
	refused 'symexample: the guest refused it \(load\): .*Invalid module format' \
		module install test "$work/magic.ko"
	refused 'symtest: the guest refused it \(load\): .*Invalid parameters' \
		module install test symtest plus=many
	refused "module symtest has no parameter 'minus'$" \
		module install test symtest plus=1 minus=2
	expect "$(modules)" symbiotic "$release: modules after all that"
}
check_install() {
	refused "no handler 'symtest.echo'" call test symtest.echo
	accepted module install test "$work/symtest.ko.gz" plus=5
	says '^test: symtest is loaded$'
	accepted module install test symexample
	expect "$(modules)" "symbiotic symexample+ symtest+" "$release: modules"
	accepted call test symtest.echo 30 7 --payload desserts
	says '^0x2a '
	says 'stressed'
	accepted call test example.add 40 2
	says '^0x2a '
	refused 'symexample is in the guest already$' module install test symexample
	refused 'symexamplf: the guest refused it \(load\): .*File exists' \
		module install test "$work/alias.ko"
}
check_remove() {
	accepted module remove test symexample
	expect "$(modules)" "symbiotic symtest+" "$release: modules after one went"
	refused "no handler 'example.add'" call test example.add 1 2
	refused 'symexample: the guest refused it \(unload\): .*not.* loaded' \
		module remove test symexample
	refused 'symbiotic: the guest refused it \(unload\): .*busy' module remove test symbiotic
	accepted module install test "$work/symexample.ko.xz" # back again
	accepted call test example.add 1 2
	accepted module remove test symexample
	accepted module remove test symtest
}
# Modules that the host lacks are loaded by the guest's own modprobe.
check_own() {
	local lacks="for Linux ${release//+/.} in $work/none"

	refused "no module nosuch $lacks; $no_nosuch" \
		module install test nosuch --modules "$work/none"
	refused "no module symslow $lacks; module symslow: the guest did not answer in time" \
		module install test symslow --modules "$work/none"
	accepted module install test symexample --modules "$work/none"
	says "^test: symexample is loaded by the guest's own modprobe \(no module symexample $lacks\)$"
	expect "$(modules)" "symbiotic symexample+" "$release: modules with one of its own"
	accepted call test example.add 40 2
	says '^0x2a '
	refused 'symexample is in the guest already$' \
		module install test symexample --modules "$work/none"
	console 'own module is loaded' 60
	accepted module remove test symexample
	expect "$(modules)" symbiotic "$release: modules after its own went"
}
again() {
	console 'booted again' 300
	wait_for 20 ready 2 || fail "$1: not ready after the reboot: $(symctl spy test --json)"
	expect "$(modules)" symbiotic "$1: modules after the reboot"
	check_own
	accepted module install test "$work/symexample.ko.zst"
	accepted call test example.add 2 3
	says '^0x5 '
}
try() { # version, another
	release=$(cat "$guest/release-$1")
	no_nosuch="module nosuch: the guest's modprobe failed: modprobe: FATAL: Module nosuch not"
	no_nosuch+=" found in directory /lib/modules/${release//+/.}$"
	other_release=$(cat "$guest/release-$2")
	own=$SYMKIT_MODULES/$release
	make_variants
	start_debian "$1" --cpus 2 --disk "$work/ko.img,ro,serial=symko"
	console 'booted once' 150
	grep -qa 'disk knows 0 modules' "$work/console" || fail "$1: the disk has modules of ours"
	grep -qa 'loaded: symbiotic $' <(tr -d '\r' <"$work/console") || fail "$1: what is loaded"
	wait_for 20 ready 1 || fail "$1: no registration"
	! at_length "$1" || check_refused
	check_install
	check_remove
	! at_length "$1" || again "$1"
	accepted stop test --timeout 60
	finish 20
	expect "$status" 0 "$1: exit status"
	clean_dmesg
	echo "modules on $1: ok"
}

for version in "${@:-$oldest}"; do
	try "$version" "$([ "$version" = "$oldest" ] && echo "$newest" || echo "$oldest")"
done
[ "${1:-$oldest}" = "$oldest" ] || exit 0

# A guest without symbiotic is not ready.
echo 'touch /run/symjob-stay; echo "tiny is up"' | job
start_tiny "$oldest" --modules "$SYMKIT_MODULES" --initrd-modules none
console 'tiny is up' 60
for command in "install test symtest" "list test" "remove test symtest"; do
	# shellcheck disable=SC2086
	refused 'the guest is not ready: no symbiotic module has registered there' module $command
done
refused 'the guest is not ready' call test symtest.echo
accepted stop test --force --timeout 1
finish 10
