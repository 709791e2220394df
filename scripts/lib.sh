# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Shared by the scripts: messages, and the paths of caches.
# shellcheck disable=SC2034 # used by the scripts that source this

symkit_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
symkit_cache=${SYMKIT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/symkit}

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# as_root CMD... - through sudo unless we are root already.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "'$1' needs root: run as root or install sudo"
	fi
}
