#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes .venv-foreign: the programs that read what we export, for the tests that ask them. They want older libraries than we
# do, so they have an environment of their own. Needs .venv (scripts/setup.sh). Safe to run again; quick when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
here=.venv-foreign
stamp=$here/.installed
wanted=$(cksum scripts/foreign.sh)
[ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || exit 0

printf '\033[1m%s\033[0m\n' "Setting up $here (what .venv has too is not downloaded again)"
uv=$(command -v uv || echo .venv/bin/uv)
[ -x "$here/bin/python" ] || "$uv" venv --quiet --python .venv/bin/python "$here"
# Two of them bring OpenCV, one with windows and one without, into the same folder: the one without is enough for both.
without=$(mktemp)
trap 'rm -f "$without"' EXIT
echo 'opencv-python; sys_platform == "nowhere"' > "$without"
# torch and torchvision come from one place, in one resolution: mixed builds do not import together.
"$uv" pip install --quiet --python "$here/bin/python" --override "$without" \
  'nnunetv2>=2.8' 'datumaro>=1.13' 'ultralytics>=8.4'
echo "$wanted" > "$stamp"
