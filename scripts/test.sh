#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One green command: ruff, mypy --strict, import contracts, pytest under a virtual display of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --headless
bin=.venv/bin
step() { printf '\033[1m== %s\033[0m\n' "$*"; "$@"; }
step $bin/ruff check .
step $bin/ruff format --check .
step $bin/mypy
step $bin/lint-imports
# Always a virtual display: a test must not depend on, or disturb, the screen of the person who runs it.
step xvfb-run -a -s "-screen 0 1600x1000x24" $bin/python -m pytest "$@"
