#!/usr/bin/env bash
# Install requirements/plugins.txt (plug-ins of Snakemake for S3, SSH and Kubernetes) into build/plugins, without changing .venv.
#
# usage: tools/install_plugins.sh && export PYTHONPATH=$PWD/build/plugins
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
list=requirements/plugins.txt folder=build/plugins
if cmp --silent $list $folder/installed.txt; then exit 0; fi
rm -rf $folder
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $folder --requirement $list
cp $list $folder/installed.txt
