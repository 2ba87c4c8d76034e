#!/usr/bin/env python3
"""Measures the shared-memory store beside Plasma, on the same work, in the same run.

  ./bazelw run //benchmarks:shm_compare -- --install

The programs run in turn, one after the other, for several rounds; the table has the medians, and each row the median of
what it compares within a round. What is compared with the machine itself, a copy or a bare futex, or with one process
alone, is measured in turn by one program.
"""

import os
import sys

import compare
import shm_rows

SHM = compare.Subject('shm_compare', __doc__, {'shm': ['benchmarks/shm_bench']}, shm_rows.PEERS, shm_rows.ROWS)

if __name__ == '__main__':
    # Bazel runs this in the folder that holds the programs and sources by the labels' paths.
    sys.exit(compare.main(sys.argv[1:], os.getcwd(), SHM))
