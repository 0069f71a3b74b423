#!/usr/bin/env bash
# Stop the daemons that up.sh started, using their recorded process ids, and cancel their jobs.
#
# usage: tests/slurm/down.sh DIR        (DIR and its logs are kept)
set -euo pipefail
[ $# -eq 1 ] || { sed -n '4p' "$0" >&2; exit 2; }
dir=$(realpath -m "$1")
export SLURM_CONF=$dir/slurm.conf

running() { grep -qs '^State:.[^Z]' "/proc/$1/status"; }
stop() { # pid file, expected name of the process; after a restart of the machine, the pid may belong to another process
  [ -s "$1" ] || return 0
  local pid
  pid=$(cat "$1")
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]; then
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 100); do running "$pid" || break; sleep 0.1; done
    if running "$pid"; then kill -KILL "$pid"; fi
  fi
  rm -f "$1"
}

if [ -s "$dir/run/slurmctld.pid" ] && [ -n "$(timeout 10 squeue -h 2>/dev/null)" ]; then
  timeout 10 scancel -u "$(id -un)" || true
  sleep 1
fi
for file in "$dir"/run/slurmd.*.pid; do stop "$file" slurmd; done
stop "$dir/run/slurmctld.pid" slurmctld
stop "$dir/run/munged.pid" munged
