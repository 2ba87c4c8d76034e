#!/usr/bin/env python3
"""The include check catches what it is there to catch."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, 'checks')
import include_check  # pylint: disable=wrong-import-position


def problems(text, deps=(), files=(), name='task/a.cc'):
    target = {
        'label': '//task:a',
        'files': [name, *files],
        'deps': [{'label': label, 'headers': list(headers)} for label, headers in deps],
    }
    return include_check.check_target(target, lambda path: text if path == name else '')


class IncludeCheckTest(unittest.TestCase):

    def test_a_missing_dependency_of_ours_is_caught_in_both_forms(self):
        self.assertEqual(
            problems('#include "core/b.h"\n'),
            ['//task:a: task/a.cc includes "core/b.h", but lacks a direct dependency that offers it'])
        self.assertEqual(len(problems('#include <ray/api.h>\n')), 1)
        self.assertEqual(len(problems('  #  include "b.h"\n')), 1)

    def test_own_headers_and_those_of_direct_dependencies_are_allowed(self):
        self.assertEqual(problems('#include "task/a.h"\n', files=['task/a.h']), [])
        self.assertEqual(problems('#include "core/b.h"\n', deps=[('//core:b', ['core/b.h'])]), [])
        self.assertEqual(
            problems('#include <ray/api.h>\n', deps=[('//api:ray', ['api/_virtual_includes/ray/ray/api.h'])]), [])
        self.assertEqual(len(problems('#include "core/b.h"\n', deps=[('//core:c', ['core/not_b.h'])])), 1)

    def test_the_standard_library_and_the_system_are_free(self):
        self.assertEqual(problems('#include <vector>\n#include <sys/mman.h>\n'), [])

    def test_abseil_is_checked_by_target(self):
        absl = '@com_google_absl//absl/'
        cases = {
            '#include "absl/status/statusor.h"\n': absl + 'status:statusor',
            '#include <absl/status/status.h>\n': absl + 'status:status',
            '#include "absl/strings/str_cat.h"\n': absl + 'strings:strings',
            '#include "absl/types/span.h"\n': absl + 'types:span',
            '#include "absl/base/thread_annotations.h"\n': absl + 'base:core_headers',
            '#include "absl/container/flat_hash_map.h"\n': absl + 'container:flat_hash_map',
            '#include "absl/time/clock.h"\n': absl + 'time:time',
        }
        for text, label in cases.items():
            self.assertEqual(problems(text, deps=[(label, [])]), [], text)
            self.assertEqual(len(problems(text)), 1, text)
            self.assertEqual(len(problems(text, deps=[(absl + 'types:any', [])])), 1, text)

    def test_other_third_party_headers_need_their_repository(self):
        cases = {
            'gtest/gtest.h': '@com_google_googletest//:gtest_main',
            'gmock/gmock.h': '@com_google_googletest//:gtest',
            'glog/logging.h': '@com_github_google_glog//:glog',
            'grpcpp/grpcpp.h': '@com_github_grpc_grpc//:grpc++',
            'google/protobuf/message.h': '@com_google_protobuf//:protobuf',
            'msgpack.hpp': '@msgpack//:msgpack',
            'nlohmann/json.hpp': '@nlohmann_json//:json',
            'boost/callable_traits.hpp': '@boost//:callable_traits',
            'benchmark/benchmark.h': '@com_github_google_benchmark//:benchmark',
        }
        for path, label in cases.items():
            for text in ('#include <%s>\n' % path, '#include "%s"\n' % path):
                self.assertEqual(problems(text, deps=[(label, [])]), [], text)
                self.assertEqual(len(problems(text, deps=[('//core:b', [])])), 1, text)

    def test_comments_and_strings_include_nothing(self):
        self.assertEqual(problems('// #include "x.h"\n/*\n#include "x.h"\n*/\n'), [])
        self.assertEqual(problems('auto s = R"(\n#include "x.h"\n)";\n'), [])
        self.assertEqual(len(problems("char c = '\"';\nint n = 1'000;\n#include \"x.h\"\n")), 1)

    def test_the_program_fails_and_names_the_include(self):
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, 'a.cc')
            manifest = os.path.join(folder, 'a.json')
            with open(source, 'w', encoding='utf-8') as file:
                file.write('#include "core/b.h"\n')
            for headers, status in (([], 1), (['core/b.h'], 0)):
                with open(manifest, 'w', encoding='utf-8') as file:
                    json.dump([{
                        'label': '//task:a',
                        'files': [source],
                        'deps': [{'label': '//core:b', 'headers': headers}],
                    }], file)
                run = subprocess.run([sys.executable, 'checks/include_check.py', manifest],
                                     capture_output=True, text=True, check=False)
                self.assertEqual(run.returncode, status, run.stdout + run.stderr)
                self.assertEqual('includes "core/b.h"' in run.stdout, status == 1)


if __name__ == '__main__':
    unittest.main()
