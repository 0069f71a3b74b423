#!/usr/bin/env bash
# Resolve requirements/{cpu,gpu}.in into requirements/{cpu,gpu}.txt, and generate the conda environments from them
# (tools/environments.sh).
#
# Locked versions are kept if they are still compatible; `tools/lock.sh --upgrade` selects the newest ones. The lock files
# contain versions but no index addresses and no paths, so they work with any package index.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"

uv=../.venv/bin/uv
[ -x $uv ] || uv=uv
# uv does not read find-links of pip's configuration, which may provide the CPU build of torch.
cpu_wheels=${UV_FIND_LINKS:-$(python3 -m pip config list | sed -n "s/^[^=]*\.find-links='\(.*\)'$/\1/p" | head -n 1 | tr -s ' ' ,)}
unset UV_FIND_LINKS # these wheels are wrong for gpu.txt

for variant in cpu gpu; do
  torch=()
  if [ $variant = cpu ]; then # without local wheels, uv's option for PyTorch's index of CPU builds
    if [ -n "$cpu_wheels" ]; then torch=(--find-links "$cpu_wheels"); else torch=(--torch-backend cpu); fi
  fi
  $uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 "${torch[@]}" \
    --override overrides-$variant.txt --custom-compile-command "make lock" --no-emit-index-url --no-emit-find-links \
    $variant.in --output-file $variant.txt "$@"
  # '==2.13.0' also matches 2.13.0+cpu, of which some machines have a wheel; '===2.13.0' matches only the CUDA build.
  if [ $variant = gpu ]; then sed -i -E 's/^(torch|torchaudio|torchcodec|torchvision)==([0-9])/\1===\2/' gpu.txt; fi
  echo "requirements/$variant.txt: $(grep -c == $variant.txt) packages"
done

../tools/environments.sh
