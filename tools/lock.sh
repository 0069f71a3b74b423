#!/usr/bin/env bash
# Resolve requirements/{cpu,gpu}.in into requirements/{cpu,gpu}.txt, and write the environments for conda from
# them (tools/environments.sh): one command for all.
#
# Versions already in a lock are kept where they still fit; `tools/lock.sh --upgrade` takes the newest. The locks hold
# versions only: no index addresses and no paths, so they serve wherever packages come from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"

uv=../.venv/bin/uv
[ -x $uv ] || uv=uv
# Wheels that pip is told of in its configuration, such as a CPU build of torch, are not known to uv.
cpu_wheels=${UV_FIND_LINKS:-$(python3 -m pip config list | sed -n "s/^[^=]*\.find-links='\(.*\)'$/\1/p" | head -n 1 | tr -s ' ' ,)}
unset UV_FIND_LINKS # for gpu.txt they would be wrong

for variant in cpu gpu; do
  torch=()
  if [ $variant = cpu ]; then # without local wheels: uv's own name for PyTorch's index of CPU builds
    if [ -n "$cpu_wheels" ]; then torch=(--find-links "$cpu_wheels"); else torch=(--torch-backend cpu); fi
  fi
  $uv pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 "${torch[@]}" \
    --override overrides-$variant.txt --custom-compile-command "make lock" --no-emit-index-url --no-emit-find-links \
    $variant.in --output-file $variant.txt "$@"
  # '==2.13.0' is also met by 2.13.0+cpu, of which some machines have a wheel; '===2.13.0' is the CUDA build alone.
  if [ $variant = gpu ]; then sed -i -E 's/^(torch|torchaudio|torchcodec|torchvision)==([0-9])/\1===\2/' gpu.txt; fi
  echo "requirements/$variant.txt: $(grep -c == $variant.txt) packages"
done

../tools/environments.sh
