#!/usr/bin/env python3
"""Counts the tests of a Bazel run: count_tests.py BUILD_EVENTS_JSON EXIT_CODE prints "PASSED FAILED".

A gtest program counts each of its cases, any other test as one. A target that does not build counts as failed, and so does
a run that fails without saying which. Failures are named on stderr.
"""

import json
import os
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree


def count_cases(xml_path):
    """(passed, names of failed) of a test.xml, or None if it cannot be read."""
    passed = 0
    failed = []
    try:
        root = ElementTree.parse(xml_path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    for case in root.iter('testcase'):
        if case.get('status') == 'notrun' or case.get('result') == 'skipped' or case.find('skipped') is not None:
            continue
        if case.find('failure') is not None or case.find('error') is not None:
            failed.append('.'.join(filter(None, (case.get('classname'), case.get('name')))))
        else:
            passed += 1
    return passed, failed


def read_events(path):
    with open(path, encoding='utf-8') as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                pass  # Bazel was cut off while writing; its exit code tells.


def count(events, exit_code):
    """(passed, list of failures) of a run."""
    results = {}  # The last attempt of each.
    broken = set()
    for event in events:
        event_id = event.get('id', {})
        if 'testResult' in event and 'testResult' in event_id:
            key = event_id['testResult']
            results[(key['label'], key.get('run'), key.get('shard'))] = event['testResult']
        elif 'targetCompleted' in event_id and not event.get('completed', {}).get('success', False):
            broken.add(event_id['targetCompleted']['label'])

    passed = 0
    failures = []
    for (label, _, _), result in sorted(results.items(), key=str):
        xml = [output['uri'] for output in result.get('testActionOutput', []) if output['name'] == 'test.xml']
        path = urllib.parse.unquote(urllib.parse.urlparse(xml[0]).path) if xml else os.devnull
        succeeded = result.get('status') in ('PASSED', 'FLAKY')
        case_passed, case_failed = count_cases(path) or (int(succeeded), [])
        passed += case_passed
        if not succeeded:
            failures += ['%s: %s' % (label, name) for name in case_failed] or ['%s: %s' % (label, result.get('status'))]
    failures += ['%s: does not build' % label for label in sorted(broken - {key[0] for key in results})]
    if exit_code and not failures:
        failures.append('bazel exits with %d' % exit_code)
    return passed, failures


def main():
    try:
        passed, failures = count(read_events(sys.argv[1]), int(sys.argv[2]))
    except FileNotFoundError:
        passed, failures = 0, ['bazel exits with %s and leaves no results' % sys.argv[2]]
    for failure in failures:
        print('FAILED: ' + failure, file=sys.stderr)
    print(passed, len(failures))


if __name__ == '__main__':
    main()
