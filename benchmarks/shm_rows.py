"""The rows of the shared-memory store: what is measured, against whom, and the goal. See compare_rows.py."""

from compare_rows import NONE, RATE, TIME, VALUE, make_row

PEERS = {'plasma': 'Plasma'}


def _against_plasma(name, goal, unit='/s'):
    return make_row(name, ('shm', name), RATE, goal, ('plasma', name), {'plasma': name}, unit)


def _at_once(name):
    """Four processes, all together, against one alone."""
    return make_row(name + ', 4 processes', ('shm', name + '_4_processes'), RATE, 1, ('shm', name + '_alone'),
                    against='one alone')


ROWS = [
    _against_plasma('put_64B', 50),
    _against_plasma('get_64B', 100),
    make_row('put_100MiB, warm', ('shm', 'put_100MiB_gigabytes'), RATE, 0.7, ('shm', 'memcpy_100MiB_gigabytes'),
             {'plasma': 'put_100MiB_gigabytes'}, 'GB/s', against='memcpy'),
    _against_plasma('get_100MiB', 100),
    _at_once('put_64B'),
    _at_once('put_64B_full'),
    _at_once('get_64B'),
    make_row('seal_to_waiter', ('shm', 'seal_to_waiter'), TIME, 3, ('shm', 'futex_round_trip'),
             against='time of a futex round trip'),
    make_row('seal_round_trip', ('shm', 'seal_round_trip'), NONE, None, ('shm', 'futex_round_trip')),
    make_row('memory beside an object', ('shm', 'memory_object_bytes'), VALUE, 192, unit='B'),
]
