#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What a reviewer should not have to say: format, SPDX, file purpose, who includes what, file length.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
status=0
complain() {
	echo "lint: $*"
	status=1
}

mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.c' '*.h')
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' '*.bash')

clang-format-14 --dry-run -Werror "${sources[@]}" || complain "run: make format"
printf '%s\0' "${scripts[@]}" | xargs -0 -P "$(nproc)" -n 8 shellcheck -x || complain "shellcheck"

for file in "${sources[@]}"; do
	head -n 1 "$file" | grep -q '^// SPDX-License-Identifier: ' || complain "$file: no SPDX line"
	sed -n 2p "$file" | grep -q '^// ' || complain "$file: the second line says what the file is for"
	lines=$(wc -l <"$file")
	[ "$lines" -le 800 ] || complain "$file: $lines lines"
	case $file in *.h) grep -q '^#pragma once' "$file" || complain "$file: no #pragma once" ;; esac
done

# allow FOLDER REGEX: every include in the folder must match.
allow() {
	local bad
	bad=$(git ls-files --cached --others --exclude-standard "$1" | grep -E '\.(c|h)$' |
		xargs -r grep -HE '^#include' | grep -vE "#include $2")
	[ -z "$bad" ] || complain "include not allowed in $1:"$'\n'"$bad"
}
allow 'datapath/pipeline/*' '(<weft/|"datapath/pipeline/)'
allow 'include/weft/*' '(<weft/|<linux/types.h>|<std(bool|def).h>)'
allow 'ctl/*' '(<weft/control.h>|<(curl|sys)/|<[a-z_0-9]+\.h>|"ctl/)'

# Only an engine names its library.
bad=$(git ls-files --cached --others --exclude-standard 'daemon/*' 'ctl/*' ':(glob)datapath/*.[ch]' |
	xargs -r grep -lE '#include <(bpf/|rte_)')
[ -z "$bad" ] || complain "only datapath/ebpf includes libbpf: $bad"

# Every contract header compiles alone, on the host and for BPF.
for header in include/weft/*.h; do
	echo "#include \"$header\"" | gcc -std=gnu17 -Wall -Wextra -Werror -Iinclude -I. -fsyntax-only -x c - ||
		complain "$header (host)"
	case $header in */log.h | */control.h) continue ;; esac
	echo "#include \"$header\"" | clang-14 -target bpf -Wall -Wextra -Werror -Iinclude -I. \
		-I"/usr/include/$(uname -m)-linux-gnu" -fsyntax-only -x c - || complain "$header (bpf)"
done
# No padding that nobody wrote, in what engines share.
echo '#include <weft/tables.h>' | gcc -std=gnu17 -Wpadded -Werror -Iinclude -fsyntax-only -x c - ||
	complain "a table row has hidden padding"
exit $status
