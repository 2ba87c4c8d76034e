#!/usr/bin/env python3
"""The count of tests comes from Bazel's results, and what did not run never counts as passed."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, 'checks')
import count_tests  # pylint: disable=wrong-import-position

GTEST = '''<testsuites><testsuite name="A">
<testcase name="Runs" status="run" result="completed" classname="A"/>
<testcase name="DISABLED_No" status="notrun" result="suppressed" classname="A"/>
<testcase name="Skips" status="run" result="skipped" classname="A"><skipped message=""/></testcase>
%s</testsuite></testsuites>'''
GTEST_FAILURE = '<testcase name="Fails" status="run" classname="A"><failure message="no"/></testcase>'
SCRIPT = '<testsuites><testsuite name="s"><testcase name="s" status="run">%s</testcase></testsuite></testsuites>'


class CountTest(unittest.TestCase):

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def result(self, label, status, xml, **key):
        outputs = []
        if xml is not None:
            path = os.path.join(self.folder.name, '%d.xml' % len(os.listdir(self.folder.name)))
            with open(path, 'w', encoding='utf-8') as file:
                file.write(xml)
            outputs = [{'name': 'test.log', 'uri': 'file:///none'}, {'name': 'test.xml', 'uri': 'file://' + path}]
        return {
            'id': {'testResult': {'label': label, 'run': 1, **key}},
            'testResult': {'status': status, 'testActionOutput': outputs},
        }

    def test_counts_each_case_of_gtest_and_a_script_as_one(self):
        events = [self.result('//a:g', 'PASSED', GTEST % ''), self.result('//a:s', 'PASSED', SCRIPT % '')]
        self.assertEqual(count_tests.count(events, 0), (2, []))

    def test_names_the_cases_that_fail(self):
        events = [self.result('//a:g', 'FAILED', GTEST % GTEST_FAILURE),
                  self.result('//a:s', 'FAILED', SCRIPT % '<error message="exited with 1"/>')]
        self.assertEqual(count_tests.count(events, 3), (1, ['//a:g: A.Fails', '//a:s: s']))

    def test_a_test_that_fails_after_its_cases_passed_counts_as_failed(self):
        self.assertEqual(count_tests.count([self.result('//a:g', 'FAILED', GTEST % '')], 3), (1, ['//a:g: FAILED']))

    def test_a_timeout_without_results_counts_as_failed(self):
        self.assertEqual(count_tests.count([self.result('//a:g', 'TIMEOUT', None)], 3), (0, ['//a:g: TIMEOUT']))

    def test_results_that_cannot_be_read_count_as_one(self):
        self.assertEqual(count_tests.count([self.result('//a:g', 'PASSED', None)], 0), (1, []))
        self.assertEqual(count_tests.count([self.result('//a:g', 'PASSED', '<broken')], 0), (1, []))

    def test_shards_count_each_and_of_attempts_the_last(self):
        shards = [self.result('//a:g', 'PASSED', SCRIPT % '', shard=shard) for shard in (1, 2)]
        self.assertEqual(count_tests.count(shards, 0), (2, []))
        attempts = [self.result('//a:g', 'FAILED', SCRIPT % '<failure/>', attempt=1),
                    self.result('//a:g', 'PASSED', SCRIPT % '', attempt=2)]
        self.assertEqual(count_tests.count(attempts, 0), (1, []))

    def test_what_does_not_build_counts_as_failed(self):
        events = [
            {'id': {'targetCompleted': {'label': '//a:broken'}}, 'completed': {}},
            {'id': {'targetCompleted': {'label': '//a:fine'}}, 'completed': {'success': True}},
        ]
        self.assertEqual(count_tests.count(events, 1), (0, ['//a:broken: does not build']))

    def test_a_run_that_fails_without_a_reason_counts_as_failed(self):
        self.assertEqual(count_tests.count([], 4), (0, ['bazel exits with 4']))


if __name__ == '__main__':
    unittest.main()
