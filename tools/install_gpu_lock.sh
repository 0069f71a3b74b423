#!/usr/bin/env bash
# Install requirements/gpu.txt in a copy of the repository, as on a new machine without a CUDA compiler, and test the
# installation (tests/repository/test_gpu_lock.py). It needs 12 GB of disk and six minutes or more, but no GPU.
#
# usage: tools/install_gpu_lock.sh [folder]      the folder is kept, so a second call does not install everything again
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
repository=$PWD

folder=${1:-}
if [ -z "$folder" ]; then
  folder=$(mktemp -d -t polypref-gpu-lock-XXXXXX)
  trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder/clone" "$folder/no-compiler"
{ git ls-files -z; git ls-files -z --others --exclude-standard; } |
  while IFS= read -r -d '' file; do if [ -f "$file" ]; then printf '%s\0' "$file"; fi; done |
  xargs -0 cp --parents -t "$folder/clone"

# A CUDA compiler of this machine must not be used, so PATH starts with an nvcc that records the call and fails.
printf '#!/bin/sh\necho "$0 $*" >>"%s"\nexit 1\n' "$folder/nvcc-was-called" >"$folder/no-compiler/nvcc"
chmod +x "$folder/no-compiler/nvcc"
rm -f "$folder/nvcc-was-called"
(cd "$folder/clone" && env -u CUDA_HOME -u CUDA_PATH PATH="$folder/no-compiler:$PATH" tools/setup.sh gpu)

POLYPREF_GPU_LOCK=$folder "$repository/.venv/bin/python" -m pytest tests/repository/test_gpu_lock.py
