#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Opens the application with a sample clip; without a display runs the same steps as a scripted tour under Xvfb, into out/.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || [ "$(uname -s)" != Linux ]; then
  bash scripts/setup.sh
  exec .venv/bin/napari-vfss --sample
fi
bash scripts/setup.sh --headless
out=$PWD/out
mkdir -p "$out"
echo "No display found: running the scripted tour under Xvfb."
xvfb-run -a -s "-screen 0 1600x1000x24" .venv/bin/napari-vfss --tour "$out"
echo "Screenshots and the exported sample dataset are in $out"
