#!/usr/bin/env python3
"""Measures this runtime beside its peers, on the same work, in the same run.

  ./bazelw run //benchmarks:compare -- --install

The programs run in turn, one after the other, for several rounds; the table has the medians, and each row the median of
what it compares within a round. Peers: oneTBB and std::async, CAF, Ray's C++ SDK in local mode and on a one-node cluster.
"""

import argparse
import collections
import datetime
import fnmatch
import json
import os
import re
import sys

import compare_chart
import compare_peers
import compare_rows

# What a command compares: its name and help, our programs {name: command}, the peers {name: for people}, in the order of
# the table's columns, and the rows.
Subject = collections.namedtuple('Subject', 'name about ours peers rows')

RUNTIME = Subject('compare', __doc__, {
    'calls': ['benchmarks/ray_bench', 'local'],
    'costs': ['benchmarks/costs_bench']
}, compare_rows.PEERS, compare_rows.ROWS)


def positive(kind):

    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < 1e6:
            raise argparse.ArgumentTypeError("'%s' is not a number above 0" % text)
        return value

    return convert


def peer_list(subject):

    def convert(text):
        names = [] if text == 'none' else text.split(',')
        for name in names:
            if name not in subject.peers:
                raise argparse.ArgumentTypeError("there is no peer '%s': %s, or none" %
                                                 (name, ', '.join(subject.peers)))
        return names

    return convert


def row_list(subject):

    def convert(text):
        patterns = text.split(',')
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(row.name, pattern) for row in subject.rows):
                raise argparse.ArgumentTypeError("no row is named '%s': --list names them" % pattern)
        return [row for row in subject.rows if any(fnmatch.fnmatchcase(row.name, p) for p in patterns)]

    return convert


def parse_flags(argv, subject):
    parser = argparse.ArgumentParser(prog=subject.name, description=subject.about, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--install', action='store_true',
                        help='install the peers that are missing: Debian packages by apt-get, others by pip into a venv')
    parser.add_argument('--rounds', type=positive(int), default=5, metavar='N', help='how often each program runs (5)')
    parser.add_argument('--seconds', type=positive(float), default=1.0, metavar='S',
                        help='how long each measurement takes (1)')
    parser.add_argument('--rows', type=row_list(subject), default=subject.rows, metavar='ROW,...',
                        help='only these rows; * stands for anything')
    parser.add_argument('--peers', type=peer_list(subject), default=list(subject.peers), metavar='PEER,...',
                        help='only these peers: %s, or none' % ', '.join(subject.peers))
    parser.add_argument('--json', metavar='FILE', help='write what was measured, round by round')
    parser.add_argument('--svg', metavar='FILE', help='write a bar chart of the rates')
    parser.add_argument('--markdown', metavar='FILE', help='write the table as Markdown')
    parser.add_argument('--list', action='store_true', help='name the rows, and end')
    parser.add_argument('--cache', metavar='FOLDER', help='where what is installed by pip and the programs of the peers are kept',
                        default=os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'),
                                             'rustyray', 'peers'))
    return parser.parse_args(argv)


def machine():
    """What the numbers depend on, without names of hosts or paths."""
    model = 'unknown processor'
    with open('/proc/cpuinfo', encoding='utf-8') as file:
        found = re.search(r'^model name\s*:\s*(.*)$', file.read(), re.MULTILINE)
        if found:
            model = found.group(1)
    return {'processor': model, 'processors': len(os.sched_getaffinity(0)), 'date': str(datetime.date.today())}


def missing_message(missing, subject):
    lines = ['%s: these peers are not here:' % subject.name]
    for name, (looked_for, how) in missing.items():
        lines.append('  %s (%s): there is no %s' % (name, subject.peers[name], looked_for))
        lines.append('    ' + how)
    present = [name for name in subject.peers if name not in missing]
    lines.append('Run with --install to install them, or with --peers=%s to do without.' % (','.join(present) or 'none'))
    return '\n'.join(lines)


def measure(flags, root, subject):
    """All rounds: each {program: {name: number}}."""
    needed = compare_rows.needs(flags.rows)
    peers = compare_peers.Peers(root, flags.cache)
    wanted = [name for name in flags.peers if name in needed]
    if flags.install:
        peers.install(wanted)
    missing = peers.missing(wanted)
    if missing:
        raise compare_peers.Problem(missing_message(missing, subject))
    programs = {name: ([os.path.join(root, command[0])] + command[1:], {})
                for name, command in subject.ours.items() if name in needed}
    programs.update((name, peers.build(name)) for name in wanted)
    logs = os.path.join(flags.cache, 'logs')
    os.makedirs(logs, exist_ok=True)
    rounds = []
    for number in range(flags.rounds):
        measured = {}
        for name, (command, env) in programs.items():
            print('%s: round %d of %d: %s' % (subject.name, number + 1, flags.rounds, name), file=sys.stderr,
                  flush=True)
            env = {**env, 'BENCH_SECONDS': str(flags.seconds), 'BENCH_ROWS': ','.join(sorted(needed[name]))}
            output = compare_peers.run(name, command, env, os.path.join(logs, name + '.log'))
            measured[name] = compare_rows.parse(output)
            lost = needed[name] - set(measured[name])
            if lost:
                raise compare_peers.Problem('%s did not measure %s' % (name, ', '.join(sorted(lost))))
        rounds.append(measured)
    return rounds


def write(path, text):
    # Where the user is, not where Bazel runs this.
    path = os.path.join(os.environ.get('BUILD_WORKING_DIRECTORY', ''), path)
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
    except OSError as error:
        raise compare_peers.Problem('cannot write %s: %s' % (path, error.strerror)) from None


def report(flags, rounds, subject):
    judged = [compare_rows.judge(row, rounds) for row in flags.rows]
    about = machine()
    caption = '%s, %d processors, %s; medians of %d round%s' % (about['processor'], about['processors'], about['date'],
                                                              len(rounds), 's' if len(rounds) != 1 else '')
    print(compare_rows.text_table(judged, subject.peers))
    print(caption)
    for kind, goals in (('met', [one for one in judged if one.met is True]),
                        ('not met', [one for one in judged if one.met is False])):
        print('%d goals %s' % (len(goals), kind) + (': ' + '; '.join(one.row.name for one in goals)
                                                   if kind != 'met' and goals else ''))
    if flags.json:
        write(flags.json, json.dumps({
            'machine': about,
            'rounds': rounds,
            'rows': [{'row': one.row.name, 'ours': one.ours, 'peers': one.peers, 'judged_by': one.judged_by,
                      'kind': one.row.kind, 'goal': one.row.goal, 'met': one.met} for one in judged]
        }, indent=1) + '\n')
    if flags.markdown:
        write(flags.markdown, compare_rows.markdown_table(judged, subject.peers) + '\n\n' + caption + '\n')
    if flags.svg:
        write(flags.svg, compare_chart.svg(judged, caption, subject.peers))


def main(argv, root, subject=RUNTIME):
    flags = parse_flags(argv, subject)
    if flags.list:
        print('\n'.join(row.name for row in flags.rows))
        return 0
    try:
        report(flags, measure(flags, root, subject), subject)
    except compare_peers.Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    # Bazel runs this in the folder that holds the programs and sources by the labels' paths.
    sys.exit(main(sys.argv[1:], os.getcwd()))
