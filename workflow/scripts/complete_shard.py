"""Complete one shard of a batch (`answer`), or start the shards of this node (`node GPUS_PER_SHARD`). The job of the
batch passes the shards on standard input (polypref/requests/sharding.py).
"""

import json
import sys

from polypref.requests.complete import complete_shard
from polypref.requests.sharding import Shard, start_here
from polypref.running.logs import job

if __name__ == "__main__":
    shards = [Shard(**fields) for fields in json.load(sys.stdin)]
    if sys.argv[1] == "node":
        sys.exit(max(process.wait() for process in start_here(shards, int(sys.argv[2]))))
    (shard,) = shards
    with job(shard.name, shard.log) as terminal:
        complete_shard(shard, terminal)
