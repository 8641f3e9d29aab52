#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets up everything that `make run` and `make test` need: system libraries and .venv. Safe to run again; quick when nothing is missing.
#   scripts/setup.sh [--headless]      --headless also asks for Xvfb (tests, and the tour on a machine without a display)
set -euo pipefail
cd "$(dirname "$0")/.."
headless=no
[ "${1:-}" = "--headless" ] && headless=yes

say() { printf '\033[1m%s\033[0m\n' "$*"; }
fail() { printf '\033[31m%s\033[0m\n' "$*" >&2; exit 1; }

# --- system libraries: what Qt's xcb platform plugin and software OpenGL load at run time -------------------------------
declare -A package_of=(
  [libGL.so.1]=libgl1 [libEGL.so.1]=libegl1 [libxkbcommon-x11.so.0]=libxkbcommon-x11-0 [libxcb-cursor.so.0]=libxcb-cursor0
  [libxcb-icccm.so.4]=libxcb-icccm4 [libxcb-image.so.0]=libxcb-image0 [libxcb-keysyms.so.1]=libxcb-keysyms1
  [libxcb-render-util.so.0]=libxcb-render-util0 [libxcb-xinerama.so.0]=libxcb-xinerama0 [libxcb-shape.so.0]=libxcb-shape0
  [libdbus-1.so.3]=libdbus-1-3 [libglib-2.0.so.0]=libglib2.0-0 [libfontconfig.so.1]=libfontconfig1
)
missing=()
if [ "$(uname -s)" = Linux ]; then
  known=$( { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true; } )
  for library in "${!package_of[@]}"; do
    grep -q -F "$library" <<<"$known" || missing+=("${package_of[$library]}")
  done
  if [ "$headless" = yes ]; then
    command -v Xvfb >/dev/null || missing+=(xvfb)
    command -v xauth >/dev/null || missing+=(xauth)
    # Software OpenGL; a machine with a display brings its own driver.
    compgen -G "/usr/lib/*/dri/*_dri.so" >/dev/null || compgen -G "/usr/lib/*/dri/swrast_dri.so" >/dev/null || missing+=(libgl1-mesa-dri)
  fi
fi

# --- Python ------------------------------------------------------------------------------------------------------------
python=""
for candidate in python3 python3.13 python3.12 python3.11 python; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || [ -x .venv/bin/python ] || fail "Python 3.11, 3.12 or 3.13 is needed and none was found. Debian 12 and Ubuntu 24.04 have it: sudo apt-get install python3 python3-venv"
if ! command -v uv >/dev/null && [ ! -x .venv/bin/python ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  missing+=(python3-venv)
fi

if [ ${#missing[@]} -gt 0 ]; then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Installing system packages: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    fail "System packages are missing. Install them, then run this again:
    sudo apt-get install ${missing[*]}"
  fi
fi

# --- .venv, renewed when setup.cfg changes -----------------------------------------------------------------------------
stamp=.venv/.installed
wanted=$(cksum setup.cfg pyproject.toml | cksum)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
  say "Setting up .venv (first time: about 3 GB to download)"
  if command -v uv >/dev/null; then
    [ -x .venv/bin/python ] || uv venv --quiet --python "$(command -v "$python")" .venv
    installer=(uv pip install --quiet --python .venv/bin/python)
  else
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
    installer=(.venv/bin/uv pip install --quiet --python .venv/bin/python)
  fi
  # torch and torchvision come from one place, in one resolution: mixed builds do not import together.
  "${installer[@]}" -e ".[pyqt6,test]"
  echo "$wanted" > "$stamp"
fi
