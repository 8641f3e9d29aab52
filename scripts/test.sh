#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One green command: ruff, mypy --strict, import contracts, pytest under a virtual display of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --headless
bash scripts/foreign.sh
bin=.venv/bin
step() { printf '\033[1m== %s\033[0m\n' "$*"; "$@"; }
step $bin/ruff check .
step $bin/ruff format --check .
step $bin/mypy
step $bin/lint-imports
# Always a virtual display: a test must not depend on, or disturb, the screen of the person who runs it.
# Each screen is looked for from another number on: two that begin at once could take the same.
screen() { xvfb-run -a -n "$1" -s "-screen 0 1600x1000x24" "$bin/python" -m pytest "${@:2}"; }
if (($#)); then
    step screen 99 "$@"
    exit
fi
# Windows have a display and a processor of their own; all else is tested beside them.
windows=(tests/plugin/test_plugin_*.py tests/plugin/test_playback.py tests/plugin/test_session.py tests/plugin/test_tutorial.py)
others=()
for file in tests/*/test_*.py; do
    [[ " ${windows[*]} " == *" $file "* ]] || others+=("$file")
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
screen 300 "${others[@]}" >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null; rm -f "$log"' INT TERM
worked=0
step screen 99 "${windows[@]}" || worked=$?
wait "$beside" || worked=$?
step cat "$log"
exit "$worked"
