#!/usr/bin/env bash
# What environment.yml leaves out, written by `make lock`: flash-attn, which is optional. With POLYPREF_FLASH_ATTN=1 it is
# compiled against the torch that is installed by now. That needs nvcc of the same major CUDA version, and up to half an hour.
set -euo pipefail
if [ "${POLYPREF_FLASH_ATTN:-}" != 1 ]; then exit 0; fi
pip install --no-deps --no-build-isolation flash-attn==2.8.3
