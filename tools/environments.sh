#!/usr/bin/env bash
# Write environment.yml (GPU) and environment-cpu.yml from requirements/{gpu,cpu}.txt; `make lock` calls this.
#
# The pins stand in the files themselves: Snakemake copies environment.yml elsewhere before conda reads it (--sdm conda),
# and a reference to requirements/gpu.txt would not be found from there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pins() { grep -E '^[A-Za-z0-9]' "requirements/$1.txt" | grep -v '^flash-attn==' | sed 's/^/      - /'; }
environment() { # variant, name; the head comes from stdin
  cat
  cat <<YAML
name: $2
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - git
  - make
  - gxx_linux-64 # Triton compiles with it at run time, and flash-attn where it is wanted
  - pip:
YAML
  pins "$1"
}

environment gpu polypref >environment.yml <<'HEAD'
# The environment for conda on machines with CUDA GPUs, written by `make lock` from requirements/gpu.txt: the same versions
# as `tools/setup.sh gpu` installs. Without a GPU: environment-cpu.yml.
#
#     PIP_NO_DEPS=1 conda env create -f environment.yml && conda run -n polypref bash environment.post-deploy.sh
#     PIP_NO_DEPS=1 snakemake --sdm conda ...
#
# PIP_NO_DEPS=1, because the list is complete and two packages disagree about numpy in their metadata only. flash-attn is
# optional: environment.post-deploy.sh, which Snakemake runs by itself, compiles it if POLYPREF_FLASH_ATTN=1 is set.
HEAD
environment cpu polypref-cpu >environment-cpu.yml <<'HEAD'
# The environment for conda on machines without a GPU (the miniature, the tests), written by `make lock` from
# requirements/cpu.txt: the same versions as `make setup` installs.
#
#     PIP_NO_DEPS=1 conda env create -f environment-cpu.yml
#
# PIP_NO_DEPS=1, because the list is complete and two packages disagree about numpy in their metadata only. The CPU build
# of torch is on PyTorch's own index alone; tools/setup.sh has the address, for pip to be told of in PIP_EXTRA_INDEX_URL.
HEAD
cat >environment.post-deploy.sh <<POST
#!/usr/bin/env bash
# What environment.yml leaves out, written by \`make lock\`: flash-attn, which is optional. With POLYPREF_FLASH_ATTN=1 it is
# compiled against the torch that is installed by now. That needs nvcc of the same major CUDA version, and up to half an hour.
set -euo pipefail
if [ "\${POLYPREF_FLASH_ATTN:-}" != 1 ]; then exit 0; fi
pip install --no-deps --no-build-isolation $(grep -E '^flash-attn==' requirements/gpu.txt)
POST
