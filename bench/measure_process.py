"""Run a program and write its cost as JSON: python -S bench/measure_process.py cost.json PROGRAM ARGUMENT...

This script is a small separate process, because Linux counts the memory of the parent at the time of the fork as
memory of the child.
"""

import json
import os
import sys
import time

began = time.perf_counter()
process = os.spawnvp(os.P_NOWAIT, sys.argv[2], sys.argv[2:])
_, status, used = os.wait4(process, 0)
cost = [time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(cost, file)
sys.exit(os.waitstatus_to_exitcode(status))
