"""The rows of the comparison: what is measured, against whom, and the goal; and the arithmetic of rows and tables.

A measurement is a number that a program printed under a name. Each round gives one for each name; a row is judged by
the median over the rounds of what it compares within one round, so that a machine that is slower for a while does not
count for or against anybody.
"""

import collections
import statistics

# The programs by the names that rows use, in the order of the table's columns. `calls` and `costs` are ours.
PEERS = collections.OrderedDict([
    ('tbb', 'oneTBB'),
    ('caf', 'CAF'),
    ('ray', 'Ray local'),
    ('cluster', 'Ray cluster'),
])

# How a row is judged.
#   RATE: ours / other, both calls a second (or GB/s), at least `goal`.
#   TIME: other / ours, both calls a second: how many times as long ours takes, at most `goal`.
#   VALUE: ours alone, at most `goal`.
#   NONE: for orientation, no goal.
RATE, TIME, VALUE, NONE = 'rate', 'time', 'value', 'none'

# `against` names in the goal what the row is compared with, where that is not a peer.
Row = collections.namedtuple('Row', 'name ours kind goal other peers unit against')


def make_row(name, ours, kind, goal=None, other=None, peers=None, unit='/s', against=None):
    return Row(name, ours, kind, goal, other, peers or {}, unit, against)


_row = make_row

ROWS = [
    _row('tasks_in_flight', ('calls', 'tasks_in_flight'), RATE, 1.0, ('tbb', 'tasks_in_flight'), {
        'tbb': 'tasks_in_flight',
        'ray': 'tasks_in_flight',
        'cluster': 'tasks_in_flight'
    }),
    _row('tasks_in_flight, stretch', ('calls', 'tasks_in_flight'), RATE, 1.0, ('tbb', 'tasks_in_flight_no_result'),
         {'tbb': 'tasks_in_flight_no_result'}),
    _row('task_waited_for', ('calls', 'task_waited_for'), RATE, 0.8, ('tbb', 'task_waited_for'), {
        'tbb': 'task_waited_for',
        'ray': 'task_waited_for',
        'cluster': 'task_waited_for'
    }),
    _row('task_waited_for, stretch', ('calls', 'task_waited_for'), RATE, 1.5, ('tbb', 'task_waited_for'),
         {'tbb': 'task_waited_for'}),
    _row('task_waited_for, std::async', ('calls', 'task_waited_for'), NONE, None, ('tbb', 'std_async_waited_for'),
         {'tbb': 'std_async_waited_for'}),
    _row('tasks_in_a_chain', ('calls', 'tasks_in_a_chain'), RATE, 50, ('ray', 'tasks_in_a_chain'), {
        'ray': 'tasks_in_a_chain',
        'cluster': 'tasks_in_a_chain'
    }),
    _row('actor_call_waited_for', ('calls', 'actor_call_waited_for'), RATE, 50, ('caf', 'actor_call_waited_for'), {
        'caf': 'actor_call_waited_for',
        'ray': 'actor_call_waited_for',
        'cluster': 'actor_call_waited_for'
    }),
    _row('actor_calls_in_flight', ('calls', 'actor_calls_in_flight'), RATE, 5, ('caf', 'actor_calls_in_flight'), {
        'caf': 'actor_calls_in_flight',
        'ray': 'actor_calls_in_flight',
        'cluster': 'actor_calls_in_flight'
    }),
    _row('actor_to_actor_ping_pong', ('costs', 'actor_to_actor_ping_pong'), RATE, 5,
         ('caf', 'actor_to_actor_ping_pong'), {'caf': 'actor_to_actor_ping_pong'}),
    _row('actor_to_actor_in_flight', ('costs', 'actor_to_actor_in_flight'), NONE, None,
         ('caf', 'actor_to_actor_in_flight'), {'caf': 'actor_to_actor_in_flight'}),
    _row('put_small', ('calls', 'put_small'), RATE, 15, ('ray', 'put_small'), {
        'ray': 'put_small',
        'cluster': 'put_small'
    }),
    _row('get_small', ('calls', 'get_small'), RATE, 10, ('ray', 'get_small'), {
        'ray': 'get_small',
        'cluster': 'get_small'
    }),
    _row('view_small', ('costs', 'view_64B'), RATE, 40, ('ray', 'get_small'), {
        'ray': 'get_small',
        'cluster': 'get_small'
    }),
    _row('view_small, bare shared_ptr', ('costs', 'view_64B'), NONE, None, ('costs', 'shared_ptr_copy')),
    _row('view_100MiB, time of 64 B', ('costs', 'view_100MiB'), TIME, 1.5, ('costs', 'view_64B')),
    _row('pass_100MiB_to_task, time of 64 B', ('costs', 'pass_100MiB_to_task'), TIME, 2,
         ('costs', 'pass_64B_to_task')),
    _row('put_100MiB_by_move, bytes copied', ('costs', 'put_100MiB_by_move_bytes_copied'), VALUE, 0, unit='B'),
    _row('put_100MiB_by_copy, memcpy', ('costs', 'put_100MiB_by_copy_gigabytes'), RATE, 0.8,
         ('costs', 'memcpy_100MiB_same_age_gigabytes'), {
             'ray': 'put_100MiB_gigabytes',
             'cluster': 'put_100MiB_gigabytes'
         },
         unit='GB/s', against='memcpy'),
    _row('owner_service, cost', ('costs', 'owner_service_cost_percent'), VALUE, 5, unit='%'),
    _row('owner_service, on all places', ('costs', 'owner_service_all_places_percent'), NONE, unit='%'),
    _row('init_and_shutdown', ('costs', 'init_and_shutdown_milliseconds'), VALUE, 2, unit='ms'),
    _row('idle_context_switches', ('costs', 'idle_context_switches_a_second'), VALUE, 0, unit='/s'),
    _row('memory_object', ('costs', 'memory_object_bytes'), VALUE, 128, unit='B'),
    _row('memory_task_pending', ('costs', 'memory_task_pending_bytes'), VALUE, 256, unit='B'),
    _row('memory_task_done', ('costs', 'memory_task_done_bytes'), VALUE, 256, unit='B'),
    _row('memory_idle_actor', ('costs', 'memory_idle_actor_bytes'), VALUE, 1024, unit='B'),
]


class Judged:
    """One row as measured: medians, and whether the goal is met (None: no goal, or nothing to judge)."""

    def __init__(self, row, ours, peers, judged_by, met):
        self.row = row
        self.ours = ours
        self.peers = peers
        self.judged_by = judged_by
        self.met = met


def parse(text):
    """The measurements in a program's output: lines of a name and a number. Other lines are the program's own."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2:
            try:
                found[words[0]] = float(words[1])
            except ValueError:
                pass
    return found


def needs(rows):
    """The names that each program must measure for these rows: {program: {name}}."""
    names = collections.defaultdict(set)
    for row in rows:
        names[row.ours[0]].add(row.ours[1])
        if row.other is not None:
            names[row.other[0]].add(row.other[1])
        for peer, name in row.peers.items():
            names[peer].add(name)
    return names


def _median(rounds, program, name):
    values = [one[program][name] for one in rounds if name in one.get(program, {})]
    return statistics.median(values) if values else None


def _compared(row, rounds):
    """What the row is judged by, once for each round that has both sides."""
    values = []
    for one in rounds:
        ours = one.get(row.ours[0], {}).get(row.ours[1])
        if ours is None:
            continue
        if row.kind == VALUE:
            values.append(ours)
            continue
        other = one.get(row.other[0], {}).get(row.other[1]) if row.other else None
        if other is None or other <= 0 or ours <= 0:
            continue
        values.append(other / ours if row.kind == TIME else ours / other)
    return values


def judge(row, rounds):
    """The row over all rounds; each round is {program: {name: number}}."""
    values = _compared(row, rounds)
    judged_by = statistics.median(values) if values else None
    met = None
    if judged_by is not None and row.kind != NONE:
        met = judged_by >= row.goal if row.kind == RATE else judged_by <= row.goal
    peers = {peer: _median(rounds, peer, name) for peer, name in row.peers.items()}
    return Judged(row, _median(rounds, *row.ours), peers, judged_by, met)


def number(value):
    """A number as people read it: 18.3 M, 35.9 k, 1.83."""
    if value is None:
        return '-'
    for size, letter in ((1e6, ' M'), (1e4, ' k')):
        if abs(value) >= size:
            return '%.3g%s' % (value / (1e6 if size == 1e6 else 1e3), letter)
    return '%d' % value if value == int(value) else '%.3g' % value if abs(value) < 1000 else '%.0f' % value


def _goal(row, peers):
    if row.kind == NONE:
        return ''
    if row.kind == VALUE:
        against = ' ' + row.unit
    else:
        named = row.against or peers.get(row.other[0])
        against = ' x' + (' ' + named if named else '')
    return '%s %g%s' % ('>=' if row.kind == RATE else '<=', row.goal, against)


def cells(judged, peers=PEERS):
    """The cells of a row's line, as header() names them."""
    row = judged.row
    ratio = '' if row.kind == VALUE else number(judged.judged_by)
    met = {True: 'met', False: 'NOT MET', None: '' if row.kind == NONE else 'not measured'}[judged.met]
    unit = '' if judged.ours is None or row.unit == '/s' else ' ' + row.unit
    theirs = [number(judged.peers[peer]) if peer in judged.peers else '' for peer in peers]
    return [row.name, number(judged.ours) + unit] + theirs + [ratio, _goal(row, peers), met]


def header(peers=PEERS):
    return ['row', 'ours'] + list(peers.values()) + ['ratio', 'goal', 'met']


def text_table(all_judged, peers=PEERS):
    lines = [header(peers)] + [cells(judged, peers) for judged in all_judged]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def markdown_table(all_judged, peers=PEERS):
    lines = [header(peers), ['---'] + ['---:'] * (len(peers) + 2) + ['---', '---']]
    lines += [cells(judged, peers) for judged in all_judged]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
