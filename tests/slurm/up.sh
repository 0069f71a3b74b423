#!/usr/bin/env bash
# Start a real Slurm on this machine, on loopback, without systemd: munged, slurmctld and one slurmd per node.
#
# usage: tests/slurm/up.sh DIR        then run `. DIR/env.sh` to use it in a shell; tests/slurm/down.sh DIR stops it
#
# All state is in DIR, whose path must be short, because the path of a socket has at most 107 characters. A second call
# starts only the missing daemons. These variables change the cluster, so that a profile can be tested on different ones:
set -euo pipefail
nodes=${SLURM_TEST_NODES:-"node1 node2"} # names
gpus=${SLURM_TEST_GPUS:-2}               # per node; they are only declared, and their device is /dev/null
gpu_type=${SLURM_TEST_GPU_TYPE:-h100}
cpu_partition=${SLURM_TEST_CPU_PARTITION:-cpu}
gpu_partition=${SLURM_TEST_GPU_PARTITION:-gpu}
account=${SLURM_TEST_ACCOUNT:-polypref} # the account that sacctmgr lists
port=${SLURM_TEST_PORT:-16817} # of slurmctld; each slurmd has one of the next ports

[ $# -eq 1 ] || { sed -n '4p' "$0" >&2; exit 2; }
dir=$(realpath -m "$1")
if [ ${#dir} -gt 80 ]; then echo "the path is too long for a socket in it: $dir" >&2; exit 2; fi
PATH=$PATH:/usr/sbin
for program in munged slurmctld slurmd; do
  command -v $program >/dev/null || { echo "$program is missing: tools/install-packages.sh slurm" >&2; exit 2; }
done
mkdir -p "$dir"/{munge,state,log,run,gpu,bin}
chmod 755 "$dir" && chmod 700 "$dir/munge"

# `kill -0` also succeeds for a zombie, which remains if process 1 does not reap it, so the state is read instead.
running() { [ -s "$1" ] && grep -qs '^State:.[^Z]' "/proc/$(cat "$1")/status"; }

# --- munge ---------------------------------------------------------------------------------------------------------
key=$dir/munge/munge.key
if [ ! -s "$key" ]; then (umask 077 && head -c 1024 /dev/urandom >"$key"); fi
if ! running "$dir/run/munged.pid"; then
  rm -f "$dir"/run/munge.socket*
  munged --force --key-file="$key" --socket="$dir/run/munge.socket" --pid-file="$dir/run/munged.pid" \
    --seed-file="$dir/munge/seed" --log-file="$dir/log/munged.log"
fi

# --- slurm.conf and gres.conf --------------------------------------------------------------------------------------
host=$(hostname -s)
memory_mb=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
export SLURM_CONF=$dir/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=polypref
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.socket,cred_expire=20
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool.%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
# no cgroups, no systemd, no database
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobs.log
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
# schedule immediately, because the tests wait for it
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=1,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
# squeue must still list a finished job at the next status check of Snakemake
MinJobAge=3600
KillWait=5
SlurmctldTimeout=120
SlurmdTimeout=${SLURM_TEST_NODE_TIMEOUT:-60}
ReturnToService=2
# every node has all resources of the machine
SlurmdParameters=config_overrides
CONF
: >"$dir/gres.conf"
n=0
for node in $nodes; do
  # Slurm 22.05 silently ignores a GPU without a device file, and each GPU needs its own file.
  first=$((n * gpus)) last=$((n * gpus + gpus - 1)) n=$((n + 1))
  for i in $(seq $first $last); do ln -sfn /dev/null "$dir/gpu/nvidia$i"; done
  echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + n)) CPUs=$(nproc) RealMemory=$memory_mb" \
    "Gres=gpu:$gpu_type:$gpus State=UNKNOWN" >>"$SLURM_CONF"
  echo "NodeName=$node Name=gpu Type=$gpu_type File=$dir/gpu/nvidia[$first-$last]" >>"$dir/gres.conf"
done
echo "PartitionName=$cpu_partition Nodes=${nodes// /,} Default=YES MaxTime=24:00:00 DefMemPerCPU=500 State=UP" >>"$SLURM_CONF"
echo "PartitionName=$gpu_partition Nodes=${nodes// /,} MaxTime=24:00:00 DefMemPerCPU=500 State=UP" >>"$SLURM_CONF"

# --- wrappers, which env.sh puts first on PATH -----------------------------------------------------------------------------
# If slurm.conf is not in /etc/slurm, every call needs SLURM_CONF. Snakemake's job step removes it from the environment
# of srun and of the job.
for program in srun scontrol squeue; do
  cat >"$dir/bin/$program" <<SH
#!/bin/sh
SLURM_CONF=$SLURM_CONF exec /usr/bin/$program "\$@"
SH
done
# The plugin passes only accounts that sacctmgr lists, and without a database it lists none.
cat >"$dir/bin/sacctmgr" <<SH
#!/bin/sh
echo "$account"
SH
chmod +x "$dir"/bin/*
echo "export SLURM_CONF=$SLURM_CONF PATH=$dir/bin:\$PATH" >"$dir/env.sh"

# --- daemons -------------------------------------------------------------------------------------------------------
running "$dir/run/slurmctld.pid" || slurmctld -f "$SLURM_CONF"
for _ in $(seq 50); do # slurmctld ends immediately if its port is in use
  timeout 5 scontrol ping >/dev/null 2>&1 && break
  if ! running "$dir/run/slurmctld.pid" && grep -h fatal "$dir/log/slurmctld.log" >&2; then exit 1; fi
  sleep 0.1
done
for node in $nodes; do
  mkdir -p "$dir/spool.$node"
  running "$dir/run/slurmd.$node.pid" || slurmd -f "$SLURM_CONF" -N "$node"
done
for _ in $(seq 100); do
  up=$(timeout 5 sinfo -h -N -o '%N %t' 2>/dev/null | sort -u | grep -cE ' (idle|mix|alloc)$' || true)
  if [ "$up" = "$n" ]; then exec sinfo -N -o '%N %P %t %c %m %G'; fi
  sleep 0.2
done
echo "Slurm did not come up; the logs are in $dir/log:" >&2
grep -hE 'fatal|error' "$dir"/log/*.log | grep -vE 'pmix|MPI' | tail -n 10 >&2 || true
exit 1
