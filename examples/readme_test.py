#!/usr/bin/env python3
"""Holds the documents against the code.

Usage: readme_test.py README.md DOCUMENT... SOURCE PROGRAM. The README quotes SOURCE, what PROGRAM prints and the layer
diagram; each other C++ block of the documents stands in the source of an example; each relative link of the documents
leads to a file or folder, and each label of ours to a target.
"""

import glob
import os
import re
import subprocess
import sys

BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\]\(([^)\s]+)\)')
LABEL = re.compile(r'(?:@rustyray)?//([a-z_/]*)(?::([a-z_.]+))?')


def without_indents(text):
    return '\n'.join(line.strip() for line in text.splitlines())


def main():
    *documents, source, program = sys.argv[1:]
    # Links lead to files that are not this test's inputs: look at them where the documents really lie.
    documents = [os.path.realpath(document) for document in documents]
    root = os.path.dirname(documents[0])
    problems = []

    with open(documents[0], encoding='utf-8') as file:
        blocks = BLOCK.findall(file.read())
    with open(source, encoding='utf-8') as file:
        text = file.read()
    if ('cpp', text) not in blocks:
        problems.append(f'README.md does not quote {source}')
    if text.count('\n') > 25:
        problems.append(f'{source} has more than 25 lines')
    printed = subprocess.run([os.path.abspath(program)], check=True, capture_output=True, text=True).stdout
    printed = re.sub(r'host [^ ,]+, pid [0-9]+', 'host HOST, pid PID', printed)
    if ('text', printed) not in blocks:
        problems.append(f'README.md does not quote what {program} prints:\n{printed}')
    with open(os.path.join(root, 'layers.bzl'), encoding='utf-8') as file:
        diagram = re.search(r'^DIAGRAM = "(.*)"$', file.read(), re.MULTILINE).group(1)
    if ('text', diagram + '\n') not in blocks:
        problems.append(f'README.md does not quote the layer diagram: {diagram}')

    # All of them are built: these by //examples, the workspace's by checks/consumer.sh.
    examples = []
    for pattern in ('examples/*.cc', 'examples/consumer_workspace/*.cc'):
        for path in glob.glob(os.path.join(root, pattern)):
            with open(path, encoding='utf-8') as file:
                examples.append(without_indents(file.read()) + '\n')

    for document in documents:
        name = os.path.relpath(document, root)
        with open(document, encoding='utf-8') as file:
            text = file.read()
        for language, block in BLOCK.findall(text):
            if language == 'cpp' and not any(without_indents(block) + '\n' in example for example in examples):
                problems.append(f'{name}: no example has this:\n{block}')
        for link in LINK.findall(text):
            target = link.split('#')[0]
            if re.match(r'[a-z]+:', link) or not target:
                continue
            if not os.path.exists(os.path.join(os.path.dirname(document), target)):
                problems.append(f'{name}: the link {link} leads nowhere')
        for package, target in LABEL.findall(re.sub(r'https?://\S+|@(?!rustyray)\w+//\S*', '', text)):
            if package.endswith('/') or not package:
                continue  # A pattern, such as //... or //core/...
            build = os.path.join(root, package, 'BUILD.bazel')
            target = target or os.path.basename(package)
            try:
                with open(build, encoding='utf-8') as file:
                    content = file.read()
            except OSError:
                problems.append(f'{name}: there is no package //{package}')
                continue
            if f'name = "{target}"' not in content and not os.path.exists(os.path.join(root, package, target)):
                problems.append(f'{name}: there is no target //{package}:{target}')

    print('\n'.join(problems) or f'{len(documents)} documents are as the code')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
