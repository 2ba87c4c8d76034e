#!/usr/bin/env python3
"""shmstore as people and programs use it. Usage: shmstore_test.py PROGRAM."""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import unittest
import uuid

PROGRAM = os.path.abspath(sys.argv.pop(1))
SECONDS = 20  # until what should have happened has not
ID = '0123456789abcdef0123456789abcdef'
OTHER = 'ffffffffffffffffffffffffffffffff'
TEMPORARY = os.environ['TEST_TMPDIR']


def run(*arguments, stdin=b''):
    done = subprocess.run([PROGRAM] + list(arguments), input=stdin, capture_output=True, timeout=SECONDS, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def names_of(text):
    return [line.split()[0] for line in text.decode().splitlines()[1:]]


class ShmstoreTest(unittest.TestCase):

    def setUp(self):
        self.name = 'test.%s' % uuid.uuid4().hex

    def tearDown(self):
        run('rm', self.name)
        self.assertFalse(os.path.exists(self.path()))

    def path(self):
        return '/dev/shm/rustyray.' + self.name

    def ok(self, *arguments, stdin=b''):
        status, out, err = run(*arguments, stdin=stdin)
        self.assertEqual((status, err), (0, ''), arguments)
        return out

    def error(self, *arguments, stdin=b''):
        status, out, err = run(*arguments, stdin=stdin)
        self.assertEqual((status, out), (1, b''), arguments)
        self.assertEqual(err[:10], 'shmstore: ')
        return err[10:].rstrip('\n')

    def misuse(self, *arguments):
        status, out, err = run(*arguments)
        self.assertEqual((status, out), (2, b''), arguments)
        message, hint = err.splitlines()
        self.assertEqual(hint, 'Try: shmstore help')
        return message[len('shmstore: '):]

    def make(self, *more):
        self.assertEqual(self.ok('create', self.name, '--limit=1MiB', '--keep', *more).decode(), self.name + '\n')

    @contextlib.contextmanager
    def started(self, *arguments):
        """The program while it runs; ended by whoever uses it."""
        process = subprocess.Popen([PROGRAM] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=SECONDS)

    def file(self, content, name='input'):
        path = os.path.join(TEMPORARY, name)
        with open(path, 'wb') as file:
            file.write(content)
        return path

    # --- Objects.

    def test_what_is_put_is_there_to_get_until_it_is_removed(self):
        self.make()
        content = os.urandom(100_000)
        self.assertEqual(self.ok('put', self.name, ID, self.file(content), '--type=frame').decode(), ID + '\n')
        self.assertEqual(self.ok('get', self.name, ID), content)
        output = os.path.join(TEMPORARY, 'output')
        self.assertEqual(self.ok('get', self.name, ID, '-o', output), b'')
        with open(output, 'rb') as file:
            self.assertEqual(file.read(), content)
        lines = self.ok('ls', self.name).decode().splitlines()
        self.assertEqual(lines[0].split(), ['ID', 'SIZE', 'TYPE', 'STATE', 'LIFETIME', 'PINNED', 'BY'])
        self.assertEqual(lines[1].split(), [ID, '97.7', 'KiB', 'frame', 'sealed', 'cache', '0'])
        self.assertEqual(json.loads(self.ok('ls', self.name, '--json')),
                         [{'id': ID, 'size': 100_000, 'type': 'frame', 'sealed': True, 'lifetime': 'cache',
                           'pinned_by': 0}])
        self.assertEqual(self.ok('rm', self.name, ID), b'')
        self.assertEqual(self.error('get', self.name, ID), 'there is no object with the id ' + ID)
        self.assertEqual(json.loads(self.ok('ls', self.name, '--json')), [])

    def test_pipes_and_files_of_no_bytes_are_put_too(self):
        self.make()
        content = os.urandom(300_001)
        dashed = '01234567-89AB-cdef-0123-456789abcdef'
        self.assertEqual(self.ok('put', self.name, dashed, '-', stdin=content).decode(), ID + '\n')
        self.assertEqual(self.ok('get', self.name, ID), content)
        for empty in ('-', self.file(b'')):
            drawn = self.ok('put', self.name, 'new', empty).decode().strip()
            self.assertEqual(self.ok('get', self.name, drawn), b'')
        with open(self.file(b'the standard input is a file'), 'rb') as file:
            drawn = subprocess.run([PROGRAM, 'put', self.name, '-', '-'], stdin=file, capture_output=True,
                                   timeout=SECONDS, check=True).stdout.decode().strip()
        self.assertEqual(self.ok('get', self.name, drawn), b'the standard input is a file')

    def test_ids_are_drawn_when_asked_for(self):
        self.make()
        drawn = {self.ok('put', self.name, word, '-', stdin=b'x').decode().strip() for word in ('new', '-', 'new')}
        self.assertEqual(len(drawn), 3)
        told = json.loads(self.ok('put', self.name, 'new', '-', '--json', stdin=b'xyz'))
        self.assertEqual((told['size'], told['type']), (3, 'bytes'))
        self.assertEqual(self.ok('get', self.name, told['id']), b'xyz')

    def test_vectors_of_numbers_have_whole_elements(self):
        self.make()
        self.ok('put', self.name, ID, '-', '--type=std::vector<double>', stdin=struct.pack('2d', 1, 2))
        self.assertEqual(json.loads(self.ok('ls', self.name, '--json'))[0]['type'], 'std::vector<double>')
        self.assertEqual(self.error('put', self.name, OTHER, '-', '--type=std::vector<double>', stdin=b'x' * 17),
                         'the standard input has 17 bytes: a std::vector<double> has a multiple of 8')

    def test_a_checksum_is_kept_on_request(self):
        self.make()
        self.ok('put', self.name, ID, '-', '--checksum', stdin=b'content to find again')
        self.ok('put', self.name, OTHER, '-', stdin=b'other')
        self.assertEqual(self.ok('get', self.name, ID, '--verify'), b'content to find again')
        self.assertEqual(self.error('get', self.name, OTHER, '--verify'),
                         'the object %s was sealed without a checksum of its bytes' % OTHER)
        with open(self.path(), 'r+b') as file:
            data = file.read()
            file.seek(data.index(b'content to find again') + 3)
            file.write(b'!')
        self.assertEqual(self.error('get', self.name, ID, '--verify'),
                         'the bytes of the object %s are not those it was sealed with' % ID)

    def test_a_get_waits_for_what_another_process_seals(self):
        self.make()
        with self.started('get', self.name, ID, '--wait=%d' % SECONDS) as waiter:
            self.ok('put', self.name, ID, '-', stdin=b'at last')
            self.assertEqual(waiter.communicate(timeout=SECONDS), (b'at last', b''))
        self.assertEqual(self.error('get', self.name, OTHER, '--wait=0.01'),
                         'no object with the id %s was sealed before the deadline' % OTHER)

    def test_a_put_that_fails_leaves_nothing(self):
        self.make()
        self.assertEqual(self.error('put', self.name, ID, '/nowhere/x'),
                         'cannot open /nowhere/x: No such file or directory')
        self.assertEqual(self.error('put', self.name, ID, TEMPORARY), 'cannot read %s: Is a directory' % TEMPORARY)
        self.assertIn('an object of 1048577 bytes can never fit', self.error(
            'put', self.name, ID, self.file(b'x' * 1048577)))
        self.assertIn('bytes can never fit', self.error('put', self.name, ID, '-', stdin=b'x' * 1048577))
        self.assertEqual(json.loads(self.ok('stat', self.name, '--json'))['being_written'], 0)
        self.ok('put', self.name, ID, '-', stdin=b'1')
        self.assertEqual(self.error('put', self.name, ID, '-', stdin=b'2'), 'there is an object with the id ' + ID)
        self.assertEqual(self.ok('get', self.name, ID), b'1')

    def test_bytes_that_cannot_be_written_are_an_error(self):
        self.make()
        self.ok('put', self.name, ID, '-', stdin=b'x' * 500_000)
        self.assertEqual(self.error('get', self.name, ID, '-o', '/nowhere/x'),
                         'cannot write /nowhere/x: No such file or directory')
        self.assertEqual(self.error('get', self.name, ID, '-o', '/dev/full'),
                         'cannot write /dev/full: No space left on device')
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = subprocess.run([PROGRAM, 'get', self.name, ID], stdout=write_end, stderr=subprocess.PIPE,
                              timeout=SECONDS, check=False)
        os.close(write_end)
        self.assertEqual((done.returncode, done.stderr),
                         (1, b'shmstore: cannot write to the standard output: Broken pipe\n'))

    def test_types_are_printed_so_that_terminals_and_parsers_take_no_harm(self):
        self.make()
        self.ok('put', self.name, ID, '-', '--type=a\x1b[31m"\\\n', stdin=b'')
        self.assertIn(b'a\\x1b[31m"\\\\x0a', self.ok('ls', self.name))
        self.assertEqual(json.loads(self.ok('ls', self.name, '--json'))[0]['type'], 'a\x1b[31m"\\\n')
        self.ok('put', self.name, OTHER, '-', os.fsdecode(b'--type=\xff\xc3\xa4'), stdin=b'')
        self.assertEqual(json.loads(self.ok('ls', self.name, '--json'))[1]['type'], '\ufffd\u00e4')

    # --- Stores.

    def test_a_store_is_held_until_it_is_interrupted(self):
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.started('create', self.name, '--limit=64kB') as holder:
                self.assertEqual(holder.stdout.readline().decode().strip(), self.name)
                drawn = self.ok('put', self.name, 'new', '-', stdin=b'stays').decode().strip()
                self.assertEqual(self.ok('get', self.name, drawn), b'stays')
                self.assertIn('already', self.error('create', self.name, '--limit=1MiB'))
                holder.send_signal(ending)
                self.assertEqual(holder.communicate(timeout=SECONDS), (b'', b''))
                self.assertEqual(holder.returncode, 0)
            self.assertFalse(os.path.exists(self.path()))
            self.assertIn('there is no shared-memory store', self.error('stat', self.name))

    def test_a_store_that_is_kept_stays_without_processes(self):
        self.make()
        self.assertTrue(os.path.exists(self.path()))
        self.assertEqual(json.loads(self.ok('stat', self.name, '--json')), {
            'name': self.name, 'limit_bytes': 1048576, 'objects': 0, 'bytes': 0, 'being_written': 0,
            'deleted_but_pinned': 0, 'deleted_but_pinned_bytes': 0, 'free_bytes': 1048576, 'largest_hole': 1048576,
            'evictions': 0, 'recoveries': 0, 'lost': 0, 'pids': []})
        self.assertEqual(self.ok('rm', self.name), b'')
        self.assertIn('there is no shared-memory store', self.error('rm', self.name))

    def test_a_store_without_a_name_gets_one(self):
        told = json.loads(self.ok('create', '--limit=64KiB', '--keep', '--json'))
        self.assertEqual((told['limit_bytes'], told['keep']), (65536, True))
        self.ok('rm', told['name'])

    def test_the_room_for_objects_is_set_by_flags(self):
        self.make('--max-objects=2')
        for _ in range(3):
            self.ok('put', self.name, 'new', '-', stdin=b'x')
        told = json.loads(self.ok('stat', self.name, '--json'))
        self.assertEqual((told['objects'], told['evictions']), (2, 1))

    def test_stores_are_listed_with_what_they_have_and_with_problems(self):
        self.make()
        self.ok('put', self.name, 'new', '-', stdin=b'x' * 100)
        with self.started('create', self.name + '.held', '--limit=64KiB') as holder:
            holder.stdout.readline()
            mine = {one['name']: one for one in json.loads(self.ok('ls', '--json')) if self.name in one['name']}
            self.assertEqual(mine[self.name], {'name': self.name, 'objects': 1, 'bytes': 128, 'limit_bytes': 1048576,
                                               'processes': 0})
            self.assertEqual(mine[self.name + '.held']['processes'], 1)
            line = next(one for one in self.ok('ls').decode().splitlines() if one.startswith(self.name + ' '))
            self.assertEqual(line.split(), [self.name, '1', '128', 'B', '1.0', 'MiB', '0'])
            told = self.ok('stat', self.name + '.held').decode()
            self.assertRegex(told, r'processes +%d\n' % holder.pid)
            holder.kill()
            holder.wait(timeout=SECONDS)
        # It was killed: the next to look removes what is left of it.
        self.assertNotIn(self.name + '.held', names_of(self.ok('ls')))
        self.assertFalse(os.path.exists(self.path() + '.held'))
        with open(self.path() + '.bad', 'wb') as file:
            file.write(b'no store')
        os.chmod(self.path() + '.bad', 0o600)
        try:
            mine = {one['name']: one for one in json.loads(self.ok('ls', '--json'))}
            self.assertIn('is not a shared-memory store', mine[self.name + '.bad']['problem'])
            self.assertIn('is not a shared-memory store', self.ok('ls').decode())
        finally:
            self.ok('rm', self.name + '.bad')

    def test_another_folder(self):
        where = '--directory=' + TEMPORARY
        self.ok('create', self.name, '--limit=64KiB', '--keep', where)
        self.assertFalse(os.path.exists(self.path()))
        self.assertEqual(names_of(self.ok('ls', where)), [self.name])
        self.ok('rm', self.name, where)
        self.assertEqual(self.error('ls', '--directory=/nowhere'),
                         'cannot look into /nowhere: No such file or directory')

    # --- Watching.

    def test_a_watch_tells_what_comes_and_goes(self):
        self.make()
        self.ok('put', self.name, ID, '-', '--type=first', stdin=b'12345')
        with self.started('watch', self.name, '--json') as watch:
            self.assertEqual(json.loads(watch.stdout.readline()),
                             {'event': 'sealed', 'id': ID, 'size': 5, 'type': 'first'})
            self.ok('put', self.name, OTHER, '-', stdin=b'')
            self.assertEqual(json.loads(watch.stdout.readline()),
                             {'event': 'sealed', 'id': OTHER, 'size': 0, 'type': 'bytes'})
            self.ok('rm', self.name, ID)
            self.assertEqual(json.loads(watch.stdout.readline()),
                             {'event': 'gone', 'id': ID, 'size': 5, 'type': 'first'})
            watch.send_signal(signal.SIGTERM)
            self.assertEqual(watch.communicate(timeout=SECONDS), (b'', b''))
            self.assertEqual(watch.returncode, 0)

    def test_a_watch_ends_after_so_many_events_or_so_long(self):
        self.make()
        for each in (ID, OTHER):
            self.ok('put', self.name, each, '-', stdin=b'x' * 2048)
        self.assertEqual(self.ok('watch', self.name, '--events=1').decode(), 'sealed  %s  2.0 KiB  bytes\n' % ID)
        self.assertEqual(len(self.ok('watch', self.name, '--for=0.01').splitlines()), 2)

    # --- What is asked wrongly.

    def test_help_of_all_and_of_each(self):
        for arguments in (('help',), ('-h',), ('--help',)):
            self.assertIn('Ends with 0; with 1', self.ok(*arguments).decode())
        for command in ('create', 'ls', 'stat', 'put', 'get', 'rm', 'watch'):
            told = self.ok('help', command)
            self.assertIn('shmstore ' + command, told.decode())
            self.assertIn('--directory=DIR', told.decode())
            self.assertEqual(self.ok(command, '-h'), told)
            self.assertEqual(self.ok(command, '--help'), told)
            self.assertIn('\n  %s ' % command, self.ok('help').decode())

    def test_misuse_is_named_with_what_is_expected(self):
        expected = 'expected create, ls, stat, put, get, rm, watch or help'
        for arguments, message in (
            ((), 'no command: ' + expected),
            (('lst',), "unknown command 'lst': " + expected),
            (('--json',), "unknown flag '--json': " + expected),
            (('help', 'lst'), "no help on 'lst': " + expected),
            (('help', 'ls', 'rm'), "help takes one command, not also 'rm'"),
            (('create', 'x', '--lmit=5'), "unknown flag '--lmit' of create: expected --limit, --max-objects, --keep, "
             '--json, --directory, --help'),
            (('create', '-k'), "unknown flag '-k' of create: expected --limit, --max-objects, --keep, --json, "
             '--directory, --help'),
            (('rm', 'x', '--json'), "unknown flag '--json' of rm: expected --directory, --help"),
            (('create', '--keep=yes'), '--keep takes no value'),
            (('create', '--limit'), '--limit needs a value: SIZE'),
            (('create', '--limit=1MiB', '--limit', '2MiB'), '--limit is given twice'),
            (('ls', '--directory='), '--directory is empty: expected DIR'),
            (('create', '--max-objects=-1'), "--max-objects: '-1' is not a whole number"),
            (('get', 'x', ID, '--wait=soon'), "--wait: 'soon' is not a number of seconds from 0 to 1000000000"),
            (('get', 'x', ID, '--wait=nan'), "--wait: 'nan' is not a number of seconds from 0 to 1000000000"),
            (('get', 'x', ID, '--wait=-1'), "--wait: '-1' is not a number of seconds from 0 to 1000000000"),
            (('put', 'x', 'new'), 'too few arguments: expected shmstore put NAME ID FILE'),
            (('stat', 'x', 'y'), "one argument too many, 'y': expected shmstore stat NAME"),
        ):
            self.assertEqual(self.misuse(*arguments), message)

    def test_sizes_have_units(self):
        for size in ('', '64 MiB', '1.5GB', '64M', '-1', 'GB', '20000000TB', '0x10'):
            self.assertEqual(self.misuse('create', '--limit=' + size),
                             "--limit: '%s' is not a size: expected bytes, such as 4096, 64MiB or 1GB" % size)
        for size, in_bytes in (('4096', 4096), ('8192B', 8192), ('2kb', 2000), ('1MB', 10**6), ('1GB', 10**9),
                               ('4KiB', 4096), ('3mib', 3 << 20), ('1GiB', 1 << 30)):
            told = json.loads(self.ok('create', self.name, '--json', '--keep', '--limit', size))
            self.assertEqual(told['limit_bytes'], in_bytes)
            self.ok('rm', self.name)

    def test_names_ids_and_limits_that_cannot_be(self):
        self.assertIn('cannot be named "a/b"', self.error('create', 'a/b', '--limit=1MiB'))
        self.assertIn('a limit of 0 bytes holds nothing', self.error('create', self.name, '--limit=0'))
        self.assertIn('there is no shared-memory store', self.error('ls', self.name))
        self.make()
        self.assertIn('hex', self.error('get', self.name, 'xyz').lower())
        self.assertEqual(self.error('put', self.name, '0' * 32, '-'), 'the nil id names no object')
        # What begins with a dash comes after two.
        self.assertIn('cannot open -x', self.error('put', self.name, ID, '--', '-x'))


if __name__ == '__main__':
    unittest.main()
