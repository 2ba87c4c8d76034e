#!/usr/bin/env python3
"""Compares what files include with what their targets depend on.

Usage: include_check.py MANIFEST, a JSON list of targets:
  {"label": "//a:b", "files": [paths], "deps": [{"label": "//c:d", "headers": [paths]}]}
Paths are relative to the current directory. Headers of the C++ library and of the system are free.
"""

import json
import re
import sys

# Headers of third-party libraries, which Bazel does not see: from their first folder (or name) to their repository.
THIRD_PARTY = {
    'absl': 'com_google_absl',
    'benchmark': 'com_github_google_benchmark',
    'boost': 'boost',
    'glog': 'com_github_google_glog',
    'gmock': 'com_google_googletest',
    'google/protobuf': 'com_google_protobuf',
    'grpc': 'com_github_grpc_grpc',
    'grpcpp': 'com_github_grpc_grpc',
    'gtest': 'com_google_googletest',
    'msgpack': 'msgpack',
    'msgpack.hpp': 'msgpack',
    'nlohmann': 'nlohmann_json',
}

# Ours, also between angle brackets.
OURS = ('core', 'object_store', 'ownership', 'task', 'actor', 'runtime', 'api', 'benchmarks', 'examples', 'ray')

# Abseil's headers whose target is not named as the header or, if there is none of that name, as the package.
ABSL_TARGETS = {
    'algorithm/container.h': 'container',
    'base/attributes.h': 'core_headers',
    'base/call_once.h': 'base',
    'base/casts.h': 'base',
    'base/config.h': 'config',
    'base/const_init.h': 'core_headers',
    'base/internal/endian.h': 'endian',
    'base/log_severity.h': 'log_severity',
    'base/macros.h': 'core_headers',
    'base/optimization.h': 'core_headers',
    'base/port.h': 'core_headers',
    'base/prefetch.h': 'prefetch',
    'base/thread_annotations.h': 'core_headers',
    'container/btree_map.h': 'btree',
    'container/btree_set.h': 'btree',
    'meta/type_traits.h': 'type_traits',
}
# The packages whose further headers each have a target of their name.
ABSL_ONE_TARGET_A_HEADER = ('container', 'debugging', 'flags', 'functional', 'numeric', 'types')
ABSL_NAMED = {'status/statusor.h': 'statusor', 'strings/cord.h': 'cord', 'strings/str_format.h': 'str_format'}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(
    r'R"([^ ()\\\t\n]{0,16})\((?:.|\n)*?\)\1"'  # raw string
    r'|/\*(?:.|\n)*?\*/|//[^\n]*'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])*'")


def includes_of(text):
    """The (quote, path) pairs included by a C++ text, not those in its comments and strings."""

    def blank(match):
        token = match.group(0)
        if token.startswith('"'):
            line_start = text.rfind('\n', 0, match.start()) + 1
            if re.match(r'[ \t]*#[ \t]*include[ \t]*$', text[line_start:match.start()]):
                return token
        return '\n' * token.count('\n') if '\n' in token else ' '

    return [match.groups() for match in INCLUDE.finditer(COMMENT_OR_STRING.sub(blank, text))]


def absl_target(path):
    """The one target in //absl/<package> that offers the header, or None if any of the package will do."""
    package, _, name = path[len('absl/'):].partition('/')
    known = ABSL_TARGETS.get(package + '/' + name) or ABSL_NAMED.get(package + '/' + name)
    if known:
        return known
    if package in ABSL_ONE_TARGET_A_HEADER and name.endswith('.h'):
        return name[:-len('.h')]
    return package if package in ('status', 'cleanup', 'hash', 'time', 'synchronization', 'memory', 'utility') else None


def split_label(label):
    """(repository, package, name) of a label; our own repository is ''."""
    label = label.lstrip('@') if label.startswith('@//') else label
    repository, _, rest = label.partition('//')
    package, _, name = rest.partition(':')
    return repository.lstrip('@'), package, name or package.split('/')[-1]


def third_party_problem(path, deps):
    """What is missing for a third-party header; '' if nothing, None if it is not one."""
    parts = path.split('/')
    repository = THIRD_PARTY.get('/'.join(parts[:2])) or THIRD_PARTY.get(parts[0])
    if not repository:
        return None
    labels = [split_label(dep['label']) for dep in deps]
    if repository != 'com_google_absl':
        return '' if any(label[0] == repository for label in labels) else 'a dependency on @%s' % repository
    package = 'absl/' + parts[1]
    target = absl_target(path)
    if any(label[:2] == (repository, package) and target in (None, label[2]) for label in labels):
        return ''
    return 'a dependency on @%s//%s%s' % (repository, package, ':' + target if target else '')


def offers(header, path):
    return header == path or header.endswith('/' + path)


def check_target(target, read):
    """The problems of one target, as lines of text."""
    problems = []
    for file in target['files']:
        if not file.endswith(('.h', '.hpp', '.inc', '.cc', '.cpp')):
            continue
        for quote, path in includes_of(read(file)):
            missing = third_party_problem(path, target['deps'])
            if missing is None:
                if quote == '<' and path.split('/')[0] not in OURS:
                    continue
                headers = target['files'] + [header for dep in target['deps'] for header in dep['headers']]
                missing = '' if any(offers(header, path) for header in headers) else 'a direct dependency that offers it'
            if missing:
                close = '>' if quote == '<' else quote
                problems.append('%s: %s includes %s%s%s, but lacks %s' %
                                (target['label'], file, quote, path, close, missing))
    return problems


def read_file(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        return file.read()


def main():
    targets = json.loads(read_file(sys.argv[1]))
    problems = [problem for target in targets for problem in check_target(target, read_file)]
    for problem in problems:
        print(problem)
    print('%d targets, %d problems' % (len(targets), len(problems)))
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
