#!/usr/bin/env python3
"""The two programs share an array and copy nothing. Usage: shared_array_test.py WRITER READER."""

import os
import re
import subprocess
import sys
import uuid

WRITER, READER = (os.path.abspath(program) for program in sys.argv[1:])
NUMBERS = 2_000_000
SECONDS = 50


def check(holds, *what):
    if not holds:
        sys.exit(' '.join(str(each) for each in what))


def main():
    name = 'test.' + uuid.uuid4().hex
    path = '/dev/shm/rustyray.' + name
    with subprocess.Popen([WRITER, name, str(NUMBERS)], stdout=subprocess.PIPE, text=True) as writer:
        try:
            told = writer.stdout.readline()
            check(told == 'shared %d numbers, 16.0 MB, as %s\n' % (NUMBERS, name), told)
            second = subprocess.run([WRITER, name], capture_output=True, text=True, timeout=SECONDS, check=False)
            check(second.returncode == 1 and 'already' in second.stderr, second)
            read = subprocess.run([READER, name], capture_output=True, text=True, timeout=SECONDS, check=False)
            check(read.returncode == 0, read)
            total = sum(i % 1000 for i in range(NUMBERS))
            lines = read.stdout.splitlines()
            check(lines[0] == '%d numbers sum up to %d' % (NUMBERS, total), lines)
            check(lines[1] == 'they lie in ' + path, lines)
            grown = re.fullmatch(r'16\.0 MB were read, and this process\'s own memory grew by ([0-9.]+) MB', lines[2])
            check(grown is not None and float(grown.group(1)) < 1, lines)
            rest, _ = writer.communicate(timeout=SECONDS)
            check(rest == 'a reader says that they sum up to %d\n' % total, rest)
            check(writer.returncode == 0, writer.returncode)
        finally:
            writer.kill()
    check(not os.path.exists(path), path, 'was left behind')
    gone = subprocess.run([READER, name], capture_output=True, text=True, timeout=SECONDS, check=False)
    check(gone.returncode == 1 and 'there is no shared-memory store' in gone.stderr, gone)
    for wrong in ([WRITER, name, 'many'], [WRITER, name, '0'], [WRITER, '-h'], [READER, '-h'], [READER, 'a', 'b']):
        usage = subprocess.run(wrong, capture_output=True, text=True, timeout=SECONDS, check=False)
        check(usage.returncode == 2 and 'usage: ' in usage.stderr, usage)


if __name__ == '__main__':
    main()
