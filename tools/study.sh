#!/usr/bin/env bash
# Run a study, experiments/NAME, seed by seed and two cells side by side: whatever it has finished when it is ended stays, and
# the next call goes on from there. One stage after the other, `cd experiments/NAME && dvc repro` goes on as well.
set -euo pipefail

[ $# = 1 ] || { echo "error: must be one study's name: make study STUDY=NAME" >&2; exit 1; }
name=$1
python tools/check_study.py "$name"  # there is such a study, and it can give an answer
sed -i "\|^/experiments/$name/\$|d" .dvcignore  # where it was run a study is a part of what DVC looks at
dvc repro dvc.yaml:decode >/dev/null  # the studies share the decoded tracklets of the default run
cd "experiments/$name"
dvc repro configs >/dev/null  # not -q, which would hide errors as well
# read before the cells start: they rewrite dvc.lock, which listing reads. The seed is what stands behind the last "-".
mapfile -t cells < <(dvc stage list --name-only ablate | awk -F- '{print $NF, NR, $0}' | sort -n -k1,1 -k2,2 | cut -d' ' -f3)

# a job that a script started in the background ignores INT, and so would all that it starts; env can undo that on Linux
fresh=(env --default-signal=INT)
"${fresh[@]}" true 2>/dev/null || fresh=(env)
set -m  # the cells are a process group of their own, so that all of them can be ended
# --wait-for-lock and -s (no upstream stages) are what makes parallel calls safe; a cell that fails does not stop the others
# (a pipe into xargs would be led by another process than the one that $! names)
"${fresh[@]}" xargs -P 2 -I CELL sh -c 'dvc --wait-for-lock repro -s CELL >/dev/null || exit 1' <<< "$(printf '%s\n' "${cells[@]}")" &
running=$!
# INT, as Ctrl-C sends it: unlike TERM it lets DVC give its locks back
trap '{ kill -TERM "$running"; kill -INT -- "-$running"; } 2>/dev/null || true' EXIT  # no further cells, then those that run
trap 'exit 130' INT TERM
failed=0
wait "$running" || failed=1
[ "$failed" = 0 ] || { echo "error: some cells failed (see above); what is finished stays, call again" >&2; exit 1; }
dvc repro
