#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One green command: ruff, mypy --strict, import contracts, pytest.
#   scripts/test.sh            everything
#   scripts/test.sh --fast     the engine alone: no window, no training, no torch, no program of others
#   scripts/test.sh FILES...   pytest with these arguments on a virtual display
# Two lanes share the processors: windows in one, engine and trainer in the other, with as many workers each as half the
# processors. Windows always have virtual displays of their own: a test must not depend on, or disturb, anybody's screen.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --headless
# Lanes share the processors: threads of torch that spin while they wait would take them from the other lane.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
bin=.venv/bin
step() { printf '\033[1m== %s\033[0m\n' "$*"; "$@"; }
took() { printf '\033[1m== %s took %s s\033[0m\n' "$1" $((SECONDS - $2)); }
pytest() { "$bin/python" -m pytest "$@"; }
screen() { xvfb-run -a -n "$1" -s "-screen 0 1600x1000x24" "$bin/python" -m pytest "${@:2}"; }
# Importing napari and Qt for each test is for windows only.
plain=(-p no:napari)

if [ "${1:-}" = --fast ]; then
    exec "$bin/python" -m pytest "${plain[@]}" -n auto --dist worksteal -m "not (foreign or window or torch)" tests/engine "${@:2}"
fi
bash scripts/foreign.sh
if (($#)); then
    step screen 99 "$@"
    exit
fi

began=$SECONDS
step $bin/ruff check .
step $bin/ruff format --check .
step $bin/lint-imports
step $bin/mypy
took linters "$began"

processors=$(nproc 2>/dev/null || echo 2)
workers=()
((processors < 4)) || workers=(-n $((processors / 2)) --dist loadfile)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
began=$SECONDS
beside() {
    local worked=0
    pytest "${plain[@]}" "${workers[@]}" tests/engine || worked=$?
    took engine "$began"
    pytest "${plain[@]}" "${workers[@]}" tests/trainer || worked=$?
    took "engine and trainer" "$began"
    return "$worked"
}
beside >"$log" 2>&1 &
lane=$!
trap 'kill "$lane" 2>/dev/null; rm -f "$log"' INT TERM
worked=0
step screen 99 "${workers[@]}" tests/plugin || worked=$?
took windows "$began"
wait "$lane" || worked=$?
step cat "$log"
took tests "$began"
exit "$worked"
