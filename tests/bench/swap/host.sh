# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the parts of "make bench swap" share: running a measurement in the rig, its result, rows
# and figures.  Results are kept in build/bench-swap, named KERNEL.KIND.WHAT, for those who want
# to see more than the table.
# shellcheck source=../../../scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/lib.sh"
# shellcheck source=../lib.sh
. "$symkit_top/tests/bench/lib.sh"

cd "$symkit_top" || exit
results=$symkit_top/build/bench-swap
mkdir -p "$results"
# shellcheck disable=SC2034 # used by the parts
swap_kernels=${SYMKIT_KERNELS:-6.1 7.3}

# measured RESULT OPTION... COMMAND... - in the rig.  Where it counts instructions, one boot in a
# few of a guest of 7.x makes the emulator stop: it is tried again soon.  False if it did not
# succeed.  SYMKIT_BENCH_KEEP=1: nothing that has a result already; =only: nothing at all, tables and
# figures of the results that are there.
measured() {
	local file=$results/$1 start=$SECONDS try
	[ -z "${SYMKIT_BENCH_KEEP:-}" ] || ! has "$1" || return 0
	[ "${SYMKIT_BENCH_KEEP:-}" != only ] || return 1
	shift
	rm -f "$file"
	for try in 1 2 3; do
		tests/rig/run --timeout 1500 --silence 120 "$@" >"$file.new" || continue
		mv "$file.new" "$file"
		say "$* ($((SECONDS - start)) s, attempt $try)"
		return
	done
	say "FAILED: $*: $(tail -n 5 "$file.new")"
	return 1
}

# has RESULT...
has() {
	local file
	for file in "$@"; do
		[ -s "$results/$file" ] || return 1
	done
}

# value RESULT WORD... COLUMN - of the line that begins with these words.
value() {
	local file=$results/$1 words=("${@:2:$#-2}")
	awk -v words="${words[*]}" -v n="${!#}" 'index($0, words " ") == 1 { print $n; found = 1; exit }
		END { exit !found }' "$file" || die "bench: $file says nothing of ${words[*]}"
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4f\n", a / b }'
}

# kinds KERNEL - what its guests can have in place of memory, in the order of the tables; only those
# of SYMKIT_BENCH_KINDS, if that is set.
kinds() {
	local kind
	for kind in ram bypass sync zram zram-zstd zswap disk tier; do
		[ $kind != zswap ] || has_zswap "$1" || continue
		case " ${SYMKIT_BENCH_KINDS:-$kind} " in *" $kind "*) echo $kind ;; esac
	done
}

# has_zswap KERNEL - Debian's cloud kernel 6.1 was built without.
has_zswap() {
	[ "$1" != 6.1 ]
}

# kind_text KERNEL KIND
kind_text() {
	case $2 in
	ram) echo "enough RAM" ;;
	bypass) echo "bypass" ;;
	sync) echo "the window as a device" ;;
	zram) echo "zram, $([ "$1" = 6.1 ] && echo lzo-rle || echo lz4)" ;;
	zram-zstd) echo "zram, zstd" ;;
	zswap) echo "zswap before a virtio disk" ;;
	disk) echo "virtio disk" ;;
	tier) echo "memory tiering" ;;
	esac
}
