#!/usr/bin/env bash
# What environment.yml leaves out, written by `make lock`: flash-attn, compiled against the torch that is installed by
# now. It needs nvcc of the same major CUDA version, and up to half an hour.
set -euo pipefail
pip install --no-deps --no-build-isolation flash-attn==2.8.3
