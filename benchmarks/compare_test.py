#!/usr/bin/env python3
"""The comparison judges as its table says, and names what is missing or wrong. Needs no peer."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, 'benchmarks')
import compare  # pylint: disable=wrong-import-position
import compare_chart  # pylint: disable=wrong-import-position
import compare_peers  # pylint: disable=wrong-import-position
import compare_rows  # pylint: disable=wrong-import-position
import shm_compare  # pylint: disable=wrong-import-position
import shm_rows  # pylint: disable=wrong-import-position


def row(name):
    return next(one for one in compare_rows.ROWS if one.name == name)


def rounds(*pairs, ours=('calls', 'task_waited_for'), other=('tbb', 'task_waited_for')):
    return [{ours[0]: {ours[1]: a}, other[0]: {other[1]: b}} for a, b in pairs]


class RowsTest(unittest.TestCase):

    def test_reads_names_with_numbers_and_leaves_the_rest(self):
        text = 'put_small   13209602.5\nsome log line 5\n2026 INFO\nname not-a-number\nget_small 4.5\n'
        self.assertEqual(compare_rows.parse(text), {'put_small': 13209602.5, 'get_small': 4.5})

    def test_a_rate_is_met_from_the_goal_on(self):
        for ours, met in ((79.9, False), (80, True), (200, True)):
            judged = compare_rows.judge(row('task_waited_for'), rounds((ours, 100)))
            self.assertEqual((judged.judged_by, judged.met), (ours / 100, met))

    def test_a_time_is_met_up_to_the_goal(self):
        view = row('view_100MiB, time of 64 B')
        for rate, met in ((100 / 1.5, True), (60, False)):
            one = {'costs': {'view_100MiB': rate, 'view_64B': 100.0}}
            judged = compare_rows.judge(view, [one])
            self.assertAlmostEqual(judged.judged_by, 100 / rate)
            self.assertIs(judged.met, met)

    def test_a_value_is_met_up_to_the_goal_and_zero_is_a_value(self):
        idle = row('idle_context_switches')
        for value, met in ((0.0, True), (0.5, False)):
            judged = compare_rows.judge(idle, [{'costs': {'idle_context_switches_a_second': value}}])
            self.assertIs(judged.met, met)

    def test_judges_by_the_median_of_each_rounds_own_ratio(self):
        # The machine was ten times as slow in the second round: its ratio is 0.5 like the others'.
        judged = compare_rows.judge(row('task_waited_for'), rounds((50, 100), (5, 10), (90, 100), (51, 100), (49, 100)))
        self.assertEqual(judged.judged_by, 0.5)
        self.assertEqual(judged.ours, 50)
        self.assertEqual(judged.peers, {'tbb': 100, 'ray': None, 'cluster': None})

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        for measured in ({}, {'calls': {'task_waited_for': 5.0}}, {'tbb': {'task_waited_for': 5.0}}):
            judged = compare_rows.judge(row('task_waited_for'), [measured])
            self.assertIsNone(judged.met)
            self.assertEqual(compare_rows.cells(judged)[-1], 'not measured')
        self.assertEqual(compare_rows.cells(compare_rows.judge(row('task_waited_for, std::async'), []))[-1], '')

    def test_each_program_is_asked_for_what_the_rows_need(self):
        needed = compare_rows.needs([row('view_small'), row('put_small')])
        self.assertEqual(needed['costs'], {'view_64B'})
        self.assertEqual(needed['calls'], {'put_small'})
        self.assertEqual(needed['ray'], {'get_small', 'put_small'})
        self.assertNotIn('tbb', needed)

    def test_the_table_lines_up_and_says_ratio_goal_and_verdict(self):
        judged = compare_rows.judge(row('task_waited_for'), rounds((3.1e6, 18.3e6)))
        lines = compare_rows.text_table([judged]).splitlines()
        self.assertRegex(lines[1], r'^task_waited_for +3\.1 M +18\.3 M +- +- +0\.169 +>= 0\.8 x oneTBB +NOT MET$')
        self.assertEqual(lines[0].index('goal'), lines[1].index('>='))
        self.assertIn('| task_waited_for | 3.1 M | 18.3 M |  | - | - | 0.169 | >= 0.8 x oneTBB | NOT MET |',
                      compare_rows.markdown_table([judged]))

    def test_numbers_are_short(self):
        for value, text in ((None, '-'), (0, '0'), (0.1234, '0.123'), (116.0, '116'), (10828, '10.8 k'),
                            (9999, '9999'), (18275209, '18.3 M')):
            self.assertEqual(compare_rows.number(value), text)

    def test_the_rows_have_names_of_their_own_and_goals(self):
        for rows in (compare_rows.ROWS, shm_rows.ROWS):
            names = [one.name for one in rows]
            self.assertEqual(len(names), len(set(names)))
            for one in rows:
                self.assertEqual(one.goal is None, one.kind == compare_rows.NONE, one.name)
                if one.kind == compare_rows.VALUE:
                    self.assertIsNone(one.other, one.name)
                elif one.goal is not None:
                    self.assertIsNotNone(one.other, one.name)


class ChartTest(unittest.TestCase):

    def test_has_a_bar_for_each_rate_and_longer_is_faster(self):
        judged = [compare_rows.judge(row('task_waited_for'), rounds((3e6, 18e6)))]
        root = xml.etree.ElementTree.fromstring(compare_chart.svg(judged, 'a <caption> & more'))
        space = '{http://www.w3.org/2000/svg}'
        widths = {bar.get('fill'): float(bar.get('width')) for bar in root.iter(space + 'rect')
                  if bar.get('height') == str(compare_chart.BAR - 2)}
        self.assertEqual(set(widths), {compare_chart.COLOURS['ours'], compare_chart.COLOURS['tbb']})
        self.assertLess(widths[compare_chart.COLOURS['ours']], widths[compare_chart.COLOURS['tbb']])
        self.assertIn('a <caption> & more', [text.text for text in root.iter(space + 'text')])

    def test_nothing_measured_is_an_empty_chart(self):
        xml.etree.ElementTree.fromstring(compare_chart.svg([], ''))


class CommandTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        os.mkdir(os.path.join(self.root, 'benchmarks'))
        self.program('ray_bench', 'echo "task_waited_for 3000000"; echo "seconds $BENCH_SECONDS, rows $BENCH_ROWS" >&2')

    def program(self, name, script):
        path = os.path.join(self.root, 'benchmarks', name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write('#!/bin/sh\n' + script + '\n')
        os.chmod(path, 0o755)

    def run_main(self, *argv, subject=compare.RUNTIME):
        """The exit status, and what it printed to stdout and to stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = compare.main(['--cache=' + os.path.join(self.root, 'cache')] + list(argv), self.root, subject)
            except SystemExit as end:
                status = end.code
        return status, out.getvalue(), err.getvalue()

    def test_measures_round_by_round_and_writes_what_it_was_asked_for(self):
        files = {kind: os.path.join(self.root, 'out.' + kind) for kind in ('json', 'svg', 'markdown')}
        status, out, err = self.run_main('--peers=none', '--rows=task_waited_for', '--rounds=3', '--seconds=0.25',
                                         *['--%s=%s' % item for item in files.items()])
        self.assertEqual(status, 0, err)
        self.assertIn('task_waited_for', out)
        self.assertIn('not measured', out)
        self.assertIn('0 goals met', out)
        with open(files['json'], encoding='utf-8') as file:
            written = json.load(file)
        self.assertEqual(written['rounds'], [{'calls': {'task_waited_for': 3e6}}] * 3)
        self.assertEqual(written['rows'][0]['ours'], 3e6)
        self.assertGreater(written['machine']['processors'], 0)
        for kind, start in (('svg', '<svg'), ('markdown', '| row |')):
            with open(files[kind], encoding='utf-8') as file:
                self.assertTrue(file.read().startswith(start))
        with open(os.path.join(self.root, 'cache', 'logs', 'calls.log'), encoding='utf-8') as file:
            self.assertIn('seconds 0.25, rows task_waited_for', file.read())

    def test_missing_peers_are_named_with_what_to_do(self):
        class NoPeers(compare_peers.Peers):
            def missing(self, names):
                with_none = dict(compare_peers.DEBIAN)
                for name in with_none:
                    compare_peers.DEBIAN[name] = (with_none[name][0], '/nowhere/' + name)
                try:
                    return super().missing(names)
                finally:
                    compare_peers.DEBIAN.update(with_none)

        real = compare_peers.Peers
        compare_peers.Peers = NoPeers
        self.addCleanup(setattr, compare_peers, 'Peers', real)
        status, out, err = self.run_main('--rows=task*')
        self.assertEqual((status, out), (1, ''))
        self.assertIn('tbb (oneTBB): there is no /nowhere/tbb\n', err)
        self.assertIn('apt-get install --no-install-recommends libtbb-dev', err)
        self.assertIn('ray (Ray local)', err)
        self.assertIn('pip install "ray[cpp]"', err)
        self.assertIn('--install', err)
        self.assertIn('--peers=caf to do without', err)  # no row asked for needs it

    def test_a_program_that_fails_or_measures_too_little_is_an_error(self):
        self.program('ray_bench', 'echo "task_waited_for 3"; exit 3')
        status, _, err = self.run_main('--peers=none', '--rows=task_waited_for')
        self.assertEqual(status, 1)
        self.assertIn('calls ended with 3; see ', err)
        self.program('ray_bench', 'echo "put_small 3"')
        status, _, err = self.run_main('--peers=none', '--rows=task_waited_for')
        self.assertEqual(status, 1)
        self.assertIn('calls did not measure task_waited_for', err)

    def test_a_file_that_cannot_be_written_is_an_error(self):
        status, _, err = self.run_main('--peers=none', '--rows=task_waited_for', '--json=/nowhere/x.json')
        self.assertEqual(status, 1)
        self.assertIn('cannot write /nowhere/x.json: No such file or directory', err)

    def test_bad_flags_are_errors_that_name_them(self):
        for flag, message in (('--rounds=0', "'0' is not a number above 0"),
                              ('--rounds=many', "'many' is not a number above 0"),
                              ('--seconds=-1', "'-1' is not a number above 0"),
                              ('--seconds=nan', "'nan' is not a number above 0"),
                              ('--rows=put_smal', "no row is named 'put_smal': --list names them"),
                              ('--peers=tbb,cilk', "there is no peer 'cilk': tbb, caf, ray, cluster, or none"),
                              ('--round=3', 'unrecognized arguments: --round=3'),
                              ('--json', 'argument --json: expected one argument')):
            status, out, err = self.run_main(flag)
            self.assertEqual((status, out), (2, ''), flag)
            self.assertIn(message, err)

    def test_the_shared_memory_store_has_rows_and_a_peer_of_its_own(self):
        self.program('shm_bench', 'echo "put_64B 500000"; echo "seal_to_waiter 100"; echo "futex_round_trip 400"; '
                     'echo "memory_object_bytes 160"; echo "put_64B_full_alone 4"; echo "put_64B_full_4_processes 3"')
        wanted = '--rows=put_64B,seal_to_waiter,memory*,put_64B_full*'
        status, out, err = self.run_main(wanted, '--rounds=1', '--peers=none', subject=shm_compare.SHM)
        self.assertEqual(status, 0, err)
        self.assertRegex(out, r'row +ours +Plasma +ratio +goal +met\n')
        self.assertRegex(out, r'\nput_64B +500 k +- +- +>= 50 x Plasma +not measured\n')
        self.assertRegex(out, r'\nseal_to_waiter +100 +4 +<= 3 x time of a futex round trip +NOT MET\n')
        self.assertRegex(out, r'\nput_64B_full, 4 processes +3 +0.75 +>= 1 x one alone +NOT MET\n')
        self.assertRegex(out, r'\nmemory beside an object +160 B +<= 192 B +met\n')
        status, out, err = self.run_main(wanted, subject=shm_compare.SHM)
        self.assertEqual((status, out), (1, ''))
        self.assertIn("plasma (Plasma): there is no Plasma's C++ headers in ", err)
        self.assertIn('/plasma/bin/pip install "pyarrow==11.0.0" "numpy<2"', err)
        self.assertIn('--peers=none to do without', err)
        status, _, err = self.run_main('--peers=tbb', subject=shm_compare.SHM)
        self.assertEqual(status, 2)
        self.assertIn("there is no peer 'tbb': plasma, or none", err)

    def test_lists_the_rows(self):
        status, out, _ = self.run_main('--list', '--rows=memory_*')
        self.assertEqual(status, 0)
        self.assertEqual(out.split(), ['memory_object', 'memory_task_pending', 'memory_task_done', 'memory_idle_actor'])


if __name__ == '__main__':
    unittest.main()
