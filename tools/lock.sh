#!/usr/bin/env bash
# Resolve requirements/{cpu,gpu}.in into requirements/{cpu,gpu}.txt, and write environment.yml from the CPU lock.
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
  echo "requirements/$variant.txt: $(grep -c == $variant.txt) packages"
done

# The pins stand in environment.yml itself: Snakemake copies the file elsewhere before conda reads it (--sdm conda), and
# a reference to requirements/cpu.txt would not be found from there.
{
  cat <<'YAML'
# The environment for conda, written by `make lock` from requirements/cpu.txt: the same versions as `make setup` installs.
#
#     PIP_NO_DEPS=1 conda env create -f environment.yml
#     PIP_NO_DEPS=1 snakemake --sdm conda ...
#
# PIP_NO_DEPS=1, because the list is complete and two packages disagree about numpy in their metadata only. The CPU build
# of torch is on PyTorch's own index alone; tools/setup.sh has the address, for pip to be told of in PIP_EXTRA_INDEX_URL.
name: polypref
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - git
  - make
  - gxx_linux-64 # DeepSpeed compiles its CPU operators
  - pip:
YAML
  grep -E '^[A-Za-z0-9]' cpu.txt | sed 's/^/      - /'
} >../environment.yml
