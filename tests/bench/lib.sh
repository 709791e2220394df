# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Functions for the parts of "make bench": rows of a table on stdout, and the figures of
# build/bench.json, where each part adds its own as soon as it has them.

# shellcheck disable=SC2154 # set by scripts/lib.sh
bench_json=$symkit_top/build/bench.json

# figure TEXT NAME VALUE [le|lt|ge TARGET] - a row, and a number for bench.json.
figure() {
	awk -v text="$1" -v v="$3" -v op="${4:-}" -v t="${5:-}" 'BEGIN {
		ok = op == "le" ? v <= t : op == "lt" ? v < t : v >= t
		sign = op == "le" ? "<= " : op == "lt" ? "< " : ">= "
		printf "%-62s %10.3f  %s\n", text, v, op == "" ? "" : sign t (ok ? "" : "  MISSED")
	}'
	figure_save "$2" "$3"
}

# figure_save NAME VALUE
figure_save() {
	[ -s "$bench_json" ] || echo '{}' >"$bench_json"
	jq --arg name "$1" --argjson value "$2" '.[$name] = $value' "$bench_json" >"$bench_json.new" ||
		die "bench: $1: not a number: $2"
	mv "$bench_json.new" "$bench_json"
}
