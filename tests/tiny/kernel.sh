# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck disable=SC2154 # $work is of who sources this
#
# Sourced: makes kernels of a few instructions, in the folder $work.

# tiny NAME BYTES... - a kernel of a few instructions: a bzImage whose 64-bit entry they are.
tiny() {
	local name=$work/$1
	shift
	truncate -s 1536 "$name"
	poke() { # offset, bytes as printf escapes
		printf "$2" | dd of="$name" bs=1 seek="$1" conv=notrunc status=none
	}
	poke 497 '\x01'			# setup_sects
	poke 500 '\x40\x00\x00\x00'	# syssize: 1 KiB
	poke 510 '\x55\xaa'
	poke 514 'HdrS\x0f\x02'
	poke 529 '\x01'			# loadflags: loaded high
	poke 556 '\xff\xff\xff\x7f'	# initrd_addr_max
	poke 560 '\x00\x00\x20\x00'	# kernel_alignment
	poke 566 '\x01\x00'		# xloadflags: 64-bit entry
	poke 568 '\xff\x07\x00\x00'	# cmdline_size
	poke 600 '\x00\x00\x00\x01'	# pref_address: 16 MiB
	poke 608 '\x00\x10\x00\x00'	# init_size
	truncate -s 2560 "$name"
	poke 1536 "$1"			# the entry is 0x200 into the payload
}
