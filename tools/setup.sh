#!/usr/bin/env bash
# Create .venv from the pinned lock file.
#
# usage: tools/setup.sh                     requirements/cpu.txt, or the lock file that .venv was created from
#        tools/setup.sh gpu                 requirements/gpu.txt without flash-attn; no CUDA compiler is needed
#        tools/setup.sh gpu --flash-attn    with flash-attn, which is compiled (needs nvcc and up to half an hour)
#
# A stamp in .venv contains the digest of the lock file, so a second call returns at once. After an interruption, the next
# call continues. The output of pip and uv is written to .venv/setup.log.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
variant=${1:-$(cat $venv/.setup-variant 2>/dev/null || echo cpu)} # so that `make test` does not change an environment for GPUs
flash_attn=${2:-}
lock=requirements/$variant.txt
log=$venv/setup.log
logging=
stamp=$venv/.setup-stamp
torch_index=https://download.pytorch.org/whl/cpu # PyPI itself has only the CUDA build of torch, of several gigabytes

report() { printf '[setup %4ds] %s\n' "$SECONDS" "$*"; }
die() { # message, remedy
  printf '\nset-up failed: %s\n' "$1" >&2
  if [ -n "$logging" ]; then printf -- '--- the last lines of %s:\n' "$log" >&2; grep -v '^WARNING' "$log" | tail -n 15 | cut -c1-200 >&2 || true; fi
  printf '%s\n' "$2" >&2
  exit 1
}

# --- requirements of this script ---------------------------------------------------------------------------------
usage="Usage: tools/setup.sh [cpu | gpu [--flash-attn]]"
[ -f "$lock" ] || die "$lock does not exist" "$usage"
case "$variant $flash_attn" in
  "$variant " | "gpu --flash-attn") ;;
  *) die "$variant does not take '$flash_attn'" "$usage" ;;
esac
digest=$(sha256sum "$lock" | cut -d' ' -f1)
has_flash_attn() { $venv/bin/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("flash_attn") is None)'; }
if [ -x $venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$digest" ]; then
  if [ -z "$flash_attn" ] || has_flash_attn; then exit 0; fi
fi

is_311() { [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = 3.11 ]; }
if [ -e $venv/bin/python ] && ! is_311 $venv/bin/python; then
  die "$venv is not a Python 3.11 environment" "Remove it (rm -rf $venv) and run this script again."
fi
python=
for candidate in "${PYTHON:-python3.11}" python3; do
  if is_311 "$candidate"; then python=$candidate; break; fi
done
[ -n "$python" ] || die "Python 3.11 was not found (tried ${PYTHON:-python3.11} and python3)" \
  "Install it (Debian 12: apt-get install python3.11 python3.11-venv python3.11-dev), or set PYTHON to its path."

# --- the environment -----------------------------------------------------------------------------------------------
if ! $venv/bin/python -m pip --version >/dev/null 2>&1; then
  report "creating $venv with $("$python" --version)"
  "$python" -m venv $venv || die "'$python -m venv' failed" \
    "On Debian, it is a separate package: apt-get install python3.11-venv. Then remove $venv and run this script again."
fi
: >$log
logging=yes

# uv installs this lock file ten times faster than pip, but does not read pip's configuration, so the relevant options are
# passed on. If uv is unavailable or fails (because only pip is configured for a proxy or login), pip is used instead.
pip_option() { $venv/bin/python -m pip config list 2>/dev/null | sed -n "s/^[^=]*\.$1='\(.*\)'$/\1/p" | head -n 1; }
uv=$(command -v uv || true)
if [ -z "$uv" ]; then
  pin=$(grep -E '^uv==' "$lock")
  if $venv/bin/python -m pip install --no-deps "$pin" >>$log 2>&1; then uv=$venv/bin/uv; fi
fi
if [ -n "$uv" ]; then
  find_links=$(pip_option find-links | tr -s ' ' ,)
  index=$(pip_option index-url)
  export UV_FIND_LINKS=${UV_FIND_LINKS:-$find_links} UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-$index}
  if [ -z "$UV_FIND_LINKS" ]; then unset UV_FIND_LINKS; fi
  if [ -z "$UV_DEFAULT_INDEX" ]; then unset UV_DEFAULT_INDEX; fi
fi
# Compile bytecode at installation: if Python cannot write it later (a shared or read-only folder, PYTHONDONTWRITEBYTECODE),
# every process compiles its imports again, and an engine takes twice as long to start. pip compiles by default.
install() {
  if [ -n "$uv" ]; then
    printf '\n$ uv pip install --no-deps %s\n' "$*" >>$log
    "$uv" pip install --python $venv/bin/python --no-deps --compile-bytecode "$@" >>$log 2>&1 && return
  fi
  printf '\n$ pip install --no-deps %s\n' "$*" >>$log
  $venv/bin/python -m pip install --progress-bar off --no-deps "$@" >>$log 2>&1
}

# --- torch first: its CPU build is not on PyPI ---------------------------------------------------------------------
torch=$(grep -E '^torch==' "$lock" || true) # === in the GPU lock: see tools/lock.sh
if [ "$variant" = cpu ]; then
  report "installing $torch"
  if ! install "$torch"; then
    report "$torch is not on the configured package index: installing it from PyTorch's index of CPU builds, $torch_index"
    install --index-url "$torch_index" "$torch" || die "$torch could not be installed" \
      "Make $torch_index reachable, or put the wheel into a folder and set PIP_FIND_LINKS to it."
  fi
fi

# flash-attn is published as source and compiled against the installed torch, so it is installed last, and only on request.
# Without it, training uses torch's attention kernels (training.attn_implementation: auto).
packages=$venv/packages.txt
grep -vE '^flash-attn==' "$lock" >$packages
report "installing the $(grep -cE '^[a-z0-9]' $packages) packages of $lock"
install -r $packages || die "the packages of $lock could not be installed" \
  "Check that this machine reaches a package index (pip config list; pip download --no-deps six), and run this script again."

if [ "$variant" = gpu ]; then
  report "checking that torch and the packages compiled against it can be loaded and were built for the same CUDA version"
  PYTHONPATH=workflow/scripts $venv/bin/python -m polypref.preflight.gpu_packages >>$log 2>&1 || die \
    "the installed packages do not fit together" "Remove $venv and run this script again; see docs/faq.md, \"GPU set-up\"."
fi
if [ -n "$flash_attn" ]; then
  pin=$(grep -E '^flash-attn==' "$lock")
  report "compiling $pin against the installed torch (this can take half an hour)"
  install --no-build-isolation "$pin" || die "$pin could not be compiled; everything else is installed" \
    "It needs nvcc of torch's major CUDA version; a prebuilt wheel can be given with PIP_FIND_LINKS. It is optional: \
without it, training uses attn_implementation: sdpa, and 'tools/setup.sh gpu' is sufficient."
fi

echo "$variant" >$venv/.setup-variant
echo "$digest" >$stamp
report "done: $venv is ready"
