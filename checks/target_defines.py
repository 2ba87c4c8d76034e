#!/usr/bin/env python3
"""With which macros each source file is compiled, from `bazel query --output=xml` of C++ targets on the standard input.

Prints a line for each file and each way to compile it: its local_defines as -D options, then the file. A file of two
targets that differ in them has two lines.
"""

import re
import shlex
import sys
import xml.etree.ElementTree


def values(rule, attribute, kind):
    return [entry.get('value') for entry in rule.findall(f"list[@name='{attribute}']/{kind}")]


def ways(query):
    """Pairs of a file and a tuple of its macros, sorted."""
    found = set()
    for rule in xml.etree.ElementTree.fromstring(query).iter('rule'):
        if values(rule, 'defines', 'string'):
            raise ValueError(f"{rule.get('name')} has defines, which all that depend on it inherit: use local_defines")
        macros = tuple(values(rule, 'local_defines', 'string'))
        for label in values(rule, 'srcs', 'label') + values(rule, 'hdrs', 'label'):
            source = re.fullmatch(r'//(.*):(.*)', label)
            if source:
                found.add((source.group(1) + '/' + source.group(2), macros))
    return sorted(found)


def main():
    try:
        for source, macros in ways(sys.stdin.read()):
            print(*(shlex.quote('-D' + macro) for macro in macros), source)
    except (ValueError, xml.etree.ElementTree.ParseError) as problem:
        sys.exit(f'target_defines: {problem}')


if __name__ == '__main__':
    main()
