#!/usr/bin/env python3
"""Runs the commands that a document quotes, and compares what they print. Usage: shared_memory_test.py DOCUMENT PROGRAM.

The document's store gets a name of its own, so that tests at the same time do not meet.
"""

import os
import re
import subprocess
import sys
import uuid

NAME = 'frames'


def commands_of(text):
    """(command, what it prints) of all console blocks, in order."""
    found = []
    for block in re.findall(r'^```console\n(.*?)^```$', text, re.MULTILINE | re.DOTALL):
        for part in re.split(r'^\$ ', block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition('\n')
            found.append((command, output))
    return found


def main():
    document, program = sys.argv[1:]
    with open(document, encoding='utf-8') as file:
        commands = commands_of(file.read())
    if len(commands) < 8:
        sys.exit('%s has %d commands: where are the others?' % (document, len(commands)))
    own = uuid.uuid4().hex[:len(NAME)]  # as long, so that tables look alike
    folder = os.path.dirname(os.path.abspath(program))
    problems = []
    for command, output in commands:
        done = subprocess.run(['bash', '-c', command.replace(NAME, own)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30, check=False,
                              env={**os.environ, 'PATH': folder + os.pathsep + os.environ['PATH']})
        printed = done.stdout.replace(own, NAME)
        if done.returncode != 0 or printed != output:
            problems.append('$ %s\nends with %d and prints\n%s' % (command, done.returncode, printed))
    if os.path.exists('/dev/shm/rustyray.' + own):
        problems.append('the store is left behind')
        os.unlink('/dev/shm/rustyray.' + own)
    print('\n'.join(problems) or '%d commands do as the document says' % len(commands))
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
