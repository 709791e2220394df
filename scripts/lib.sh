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

# in_chroot ROOT USER:GROUP CMD... - with this tree at its own path, /dev, and /proc, which objtool
# needs.
in_chroot() {
	# Mounts in a namespace of their own end with it.
	# shellcheck disable=SC2016 # expanded by the inner shell
	as_root unshare --mount --fork bash -ec '
		root=$1 top=$2 user=$3
		shift 3
		mkdir -p "$root$top"
		mount --bind "$top" "$root$top"
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		exec chroot --userspec="$user" "$root" "$@"' \
		bash "$1" "$symkit_top" "${@:2}"
}
