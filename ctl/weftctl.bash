# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# Bash completion of weftctl: weftd says which words are possible.

_weftctl()
{
	local cur words cword word i
	local -a options=() rest=() found=()

	# ':' is part of a word (addresses, tags): take the words without bash's word breaks.
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n : cur words cword
	else
		words=("${COMP_WORDS[@]}")
		cword=$COMP_CWORD
		cur=${words[cword]}
	fi
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-s | --timeout)
			options+=("${words[i]}" "${words[i + 1]}")
			((++i))
			;;
		-j) ;;
		*) break ;;
		esac
	done
	if ((i > cword)); then # the value of an option
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	if ((i == cword)) && [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-s -j --timeout --help --version' -- "$cur")
		return
	fi
	rest=("${words[@]:i:cword - i + 1}")
	while IFS= read -r word; do
		if [[ $word == '<file>' ]]; then
			mapfile -t -O "${#found[@]}" found < <(compgen -f -- "$cur")
		else
			found+=("$word")
		fi
	done < <("${words[0]}" "${options[@]}" --complete -- "${rest[@]}" 2>/dev/null)
	COMPREPLY=("${found[@]}")
	if declare -F __ltrim_colon_completions >/dev/null; then
		__ltrim_colon_completions "$cur"
	fi
}
complete -F _weftctl weftctl
