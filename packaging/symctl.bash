# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Completion of symctl and symvmm for bash.  Commands and options come from --help, names
# from the list of VMs that are alive.

# _symkit_options COMMAND... - the options in its help.
_symkit_options() {
	"$@" --help 2>/dev/null | sed -n 's/^ *\(--[a-z-]*\).*/\1/p'
}

_symctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]-} words

	if [ "$COMP_CWORD" = 1 ]; then
		words=$(symctl --help 2>/dev/null | sed -n 's/^  \([a-z]*\) .*/\1/p')
	elif [[ $cur == -* ]]; then
		words=$(_symkit_options symctl "$command")
	elif [ "$COMP_CWORD" = 2 ] && [ "$command" = swapbypass ]; then
		words="on device off stat limit reclaim"
	elif [ "$COMP_CWORD" = 2 ] && [ "$command" = module ]; then
		words="install list remove"
	else
		words=$(symctl list 2>/dev/null | sed '1d; s/ .*//')
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_symvmm() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "run check" -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_symkit_options symvmm "${COMP_WORDS[1]}")" \
			-- "$cur")
	elif [[ $prev == --symbiotic || $prev == --rng || $prev == --seccomp ||
		$prev == --allow-interpreted ]]; then
		mapfile -t COMPREPLY < <(compgen -W "on off" -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -F _symctl symctl
complete -o filenames -F _symvmm symvmm
