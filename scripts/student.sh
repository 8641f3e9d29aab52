#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the student that ships, from ImageNet weights: eight runs, each with the phantom and the program of the commit it
# was made at, going on from the student before or from a mean of several; the last is then taught to take clicks.
# Hours on two cores; broken off, the same command goes on.
#   TEACHERS=FOLDER scripts/student.sh BACKBONE_WEIGHTS FOLDER [OPTIONS OF vfss-train fit]
# TEACHERS has mobile_sam.pt and lite_medsam.pth. FOLDER takes the trees, the runs and FOLDER/student.safetensors.
# Options are for trying it out, say --steps 2.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '3,8s/^# //p' "$0" >&2; exit 2; }
teachers=$(realpath "${TEACHERS:?a folder with mobile_sam.pt and lite_medsam.pth}")
weights=$(realpath "$1"); mkdir -p "$2"; work=$(realpath "$2"); shift 2

run() {  # number, commit of phantom and program, recipe of this tree, options
  local number=$1 commit=$2 recipe=$3; shift 3
  local tree=$work/tree$number out=$work/$number.safetensors
  [ ! -f "$out" ] || { echo "run $number is there: $out"; return; }
  [ -d "$tree" ] || git worktree add --detach "$tree" "$commit"
  cp "$recipe" "$work/recipe$number.yaml"
  (cd "$tree" && bash scripts/setup.sh)
  "$tree/.venv/bin/vfss-train" fit --phantom --recipe "$work/recipe$number.yaml" --run "$work/run$number" \
    --cache "$work/cache" --events "$work/$number.jsonl" --out "$out" "$@"
}

recipes=training/recipes
git show b6ed78b:$recipes/default.yaml > "$work/first.yaml"
run 1 b6ed78b "$work/first.yaml" --backbone-weights "$weights" "$@"
run 2 46f8e4b $recipes/realistic.yaml --minutes 58 --student "$work/1.safetensors" "$@"
run 3 9b061ec $recipes/realistic_on.yaml --minutes 95 --student "$work/2.safetensors" "$@"
run 4 fcb00f5 $recipes/agglomerated.yaml --teachers "$teachers" --minutes 70 --student "$work/3.safetensors" "$@"

bash scripts/setup.sh
last() { [ -f "$work/$1" ] || .venv/bin/vfss-train "${@:2}" --out "$work/$1"; }
last average.safetensors average "$work/3.safetensors" "$work/4.safetensors"
last november.safetensors clicks "$work/average.safetensors" --minutes 40 --cache "$work/cache" --events "$work/clicks.jsonl"

run 5 6f89ce1 $recipes/levels.yaml --seed 1 --student "$work/november.safetensors" "$@"
run 6 6f89ce1 $recipes/levels.yaml --seed 2 --student "$work/5.safetensors" "$@"
last mean56.safetensors average "$work/5.safetensors" "$work/6.safetensors" --share 0.5
last start7.safetensors average "$work/november.safetensors" "$work/mean56.safetensors" --share 0.667
run 7 76526eb $recipes/levels_on.yaml --student "$work/start7.safetensors" "$@"
last start8.safetensors average "$work/start7.safetensors" "$work/7.safetensors" --share 0.5
run 8 76526eb $recipes/levels_on.yaml --seed 4 --steps 1000 --student "$work/start8.safetensors" "$@"
last taught.safetensors clicks "$work/8.safetensors" --minutes 15 --cache "$work/cache" --events "$work/clicks8.jsonl"
last calibrated.safetensors calibrate "$work/taught.safetensors"
last clicked.safetensors clicks "$work/calibrated.safetensors" --minutes 16 --cache "$work/cache" --events "$work/clicks9.jsonl"
installer=(.venv/bin/python -m pip); ! command -v uv >/dev/null || installer=(uv pip)
VIRTUAL_ENV=$PWD/.venv "${installer[@]}" install --quiet 'nncf>=3' 'onnxruntime>=1.20'
last student.safetensors export "$work/clicked.safetensors" --int8
