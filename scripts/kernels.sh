# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of lib.sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Sourced after lib.sh: the table of kernels (tests/guest/kernels), and packages of suites
# that are not this machine's.

symkit_mirror=${SYMKIT_MIRROR:-http://deb.debian.org/debian}
symkit_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# kernel_rows - the table, "KERNEL SUITE PACKAGE USERLAND" a line.
kernel_rows() {
	grep -v '^#' "$symkit_top/tests/guest/kernels"
}

# kernel_field KERNEL N - column N of its row.
kernel_field() {
	kernel_rows | awk -v k="$1" -v n="$2" '$1 == k { print $n }'
}

# kernels_wanted - those of $SYMKIT_KERNELS, by default all, in the table's order.
kernels_wanted() {
	local name
	for name in ${SYMKIT_KERNELS:-}; do
		[ -n "$(kernel_field "$name" 1)" ] ||
			die "SYMKIT_KERNELS: $name: no such kernel ($(kernel_rows | awk '{ print $1 }' | paste -sd' '))"
	done
	kernel_rows | awk -v wanted="${SYMKIT_KERNELS:-}" '
		BEGIN { n = split(wanted, list, " "); for (i in list) want[list[i]] = 1 }
		!n || $1 in want { print $1 }'
}

# suite_source SUITE... - lines for a sources.list, updates and security included.  The
# mirror may be a snapshot, whose release files have expired.
suite_source() {
	local suite deb="deb [signed-by=$symkit_keyring check-valid-until=no]"
	for suite in "$@"; do
		echo "$deb $symkit_mirror $suite main"
		case $suite in
		*-*) ;;
		*)
			echo "$deb $symkit_mirror $suite-updates main"
			echo "$deb ${symkit_mirror%/}-security $suite-security main"
			;;
		esac
	done
}

# suite_release SUITE - APT's option to prefer it, updates and security included.
suite_release() {
	echo "APT::Default-Release \"/^$1(|-updates|-security)\$/\""
}

# suite_apt SUITE COMMAND... - apt-get or apt-cache with the package lists of that suite only,
# which are a day old at most.
suite_apt() {
	local dir=$symkit_cache/apt/$1 command=$2
	shift 2
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	local options=(-q -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Default-Release=
		-o Dir::State::status=/dev/null -o APT::Sandbox::User=root)
	if [ -z "$(find "$dir/updated" -mmin -1440 2>/dev/null)" ]; then
		suite_source "${dir##*/}" >"$dir/sources.list"
		apt-get "${options[@]}" update >"$dir/log" 2>&1 || true
		! grep -q '^[EW]:' "$dir/log" ||
			die "${dir##*/}: no package lists: $(grep '^[EW]:' "$dir/log" | head -n 1)"
		touch "$dir/updated"
	fi
	"$command" "${options[@]}" "$@"
}

# kernel_package KERNEL - the package of the newest kernel that its row stands for.
kernel_package() {
	local suite meta package
	suite=$(kernel_field "$1" 2)
	meta=$(kernel_field "$1" 3)
	package=$(suite_apt "$suite" apt-cache depends "$meta" |
		sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -n 1)
	[ -n "$package" ] || die "$suite: no package $meta"
	echo "$package"
}
