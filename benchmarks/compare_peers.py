"""The peers: what each needs, how it is installed, built and run. Nothing is installed unless asked for."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys

# The packages' own headers tell whether they are there.
DEBIAN = {
    'tbb': ('libtbb-dev', '/usr/include/tbb/task_group.h'),
    'caf': ('libcaf-dev', '/usr/include/caf/all.hpp'),
}
# Folders of the cache and what pip installs into the venv there: Ray's C++ SDK; the last Arrow with Plasma's headers.
PIP = {'ray': ['ray[cpp]'], 'plasma': ['pyarrow==11.0.0', 'numpy<2']}
# Both are built with the old std::string, and as C++17.
PIP_FLAGS = ['-std=c++17', '-D_GLIBCXX_USE_CXX11_ABI=0']
OPTIMISED = ['-O2', '-DNDEBUG']
# A run that takes longer hangs. A cluster takes ten seconds to start and to end.
RUN_SECONDS = 600


class Problem(Exception):
    """What went wrong, for people."""


class Peers:
    """The peers' programs, in a folder of caches `folder`, from sources in `root`."""

    def __init__(self, root, folder):
        self.root = root
        self.folder = folder

    # --- What is there.

    def _in_venv(self, venv, package, looked_for):
        """The package's folder in the venv, or None if it lacks what is looked for."""
        base = os.path.join(self.folder, venv, 'lib')
        for python in sorted(os.listdir(base)) if os.path.isdir(base) else []:
            home = os.path.join(base, python, 'site-packages', package)
            if os.path.exists(os.path.join(home, looked_for)):
                return home
        return None

    def ray_home(self):
        """Ray's folder of C++ headers and libraries, or None."""
        return self._in_venv('ray', 'ray/cpp', 'include/ray/api.h')

    def plasma_home(self):
        """The folder of Plasma's server, headers and libraries, or None."""
        return self._in_venv('plasma', 'pyarrow', 'include/plasma/client.h')

    def missing(self, names):
        """What of `names` is not there: {peer: (what was looked for, how to get it)}."""
        found = {}
        for name in names:
            if name in DEBIAN:
                package, header = DEBIAN[name]
                if not os.path.exists(header):
                    found[name] = (header, 'apt-get install --no-install-recommends ' + package)
                continue
            pip = self._pip_name(name)
            if (self.plasma_home() if pip == 'plasma' else self.ray_home()) is None:
                venv = os.path.join(self.folder, pip)
                found[name] = ("%s's C++ headers in %s" % (pip.capitalize(), venv),
                               'python3 -m venv %s && %s/bin/pip install %s' %
                               (venv, venv, ' '.join('"%s"' % package for package in PIP[pip])))
        return found

    @staticmethod
    def _pip_name(name):
        return 'plasma' if name == 'plasma' else 'ray'

    # --- Installing.

    def install(self, names):
        """Installs what is missing of `names`."""
        missing = self.missing(names)
        packages = [DEBIAN[name][0] for name in missing if name in DEBIAN]
        venvs = sorted({self._pip_name(name) for name in missing if name not in DEBIAN})
        if venvs and subprocess.run([self._python(), '-c', 'import ensurepip'], stderr=subprocess.DEVNULL,
                                        check=False).returncode != 0:
            packages.append('python3-venv')
        if packages:
            if not shutil.which('apt-get'):
                raise Problem('there is no apt-get here: please install what Debian calls ' + ' '.join(packages))
            as_root = [] if os.geteuid() == 0 else ['sudo']
            self._do(as_root + ['apt-get', 'update'])
            self._do(as_root + ['apt-get', 'install', '-y', '--no-install-recommends'] + packages,
                     env={'DEBIAN_FRONTEND': 'noninteractive'})
        for name in venvs:
            venv = os.path.join(self.folder, name)
            self._do([self._python(), '-m', 'venv', venv])
            self._do([os.path.join(venv, 'bin', 'pip'), 'install', '--quiet'] + PIP[name])
        still = self.missing(names)
        if still:
            raise Problem('\n'.join('installed, but %s is not there' % looked for looked, _ in still.values()))

    @staticmethod
    def _python():
        # With Debian's own Python first: Ray has wheels for it.
        return '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable

    @staticmethod
    def _do(command, env=None):
        print('compare: ' + ' '.join(command), file=sys.stderr, flush=True)
        done = subprocess.run(command, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Problem('%s\ncompare: this failed: %s' % (done.stdout.strip(), ' '.join(command)))

    # --- Building.

    def _built(self, name, sources, flags, libraries, suffix=''):
        """The program built from `sources`, which was built before unless they or the flags changed."""
        digest = hashlib.sha256(' '.join(flags + libraries).encode())
        for source in sources:
            with open(os.path.join(self.root, source), 'rb') as file:
                digest.update(file.read())
        target = os.path.join(self.folder, 'bin', name + '-' + digest.hexdigest()[:16] + suffix)
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            # By way of another name: a build that is interrupted leaves nothing that looks built.
            self._do(['g++'] + OPTIMISED + flags + ['-iquote', os.path.join(self.root, 'benchmarks')] +
                     [os.path.join(self.root, sources[0]), '-o', target + '.tmp'] + libraries + ['-lpthread'])
            os.rename(target + '.tmp', target)
        return target

    def build(self, name):
        """Builds the peer; the command that runs it, and variables for its environment."""
        timeit = 'benchmarks/timeit.h'
        if name == 'tbb':
            return [self._built(name, ['benchmarks/peers/tbb_bench.cc', timeit], ['-std=c++20'], ['-ltbb'])], {}
        if name == 'caf':
            return [self._built(name, ['benchmarks/peers/caf_bench.cc', timeit], ['-std=c++17'], ['-lcaf_core'])], {}
        if name == 'plasma':
            home = self.plasma_home()
            # The header says that it is deprecated, in a warning.
            flags = PIP_FLAGS + ['-Wno-cpp', '-isystem', os.path.join(home, 'include')]
            libraries = [os.path.join(home, 'libplasma.so.1100'), os.path.join(home, 'libarrow.so.1100'),
                         '-Wl,-rpath,' + home]
            program = self._built(name, ['benchmarks/peers/plasma_bench.cc', timeit], flags, libraries)
            return [program, os.path.join(home, 'plasma-store-server')], {}
        home = self.ray_home()
        library = os.path.join(home, 'lib')
        sources = ['benchmarks/ray_bench.cc', timeit]
        flags = PIP_FLAGS + ['-isystem', os.path.join(home, 'include')]
        libraries = ['-L' + library, '-lray_api', '-Wl,-rpath,' + library]
        program = self._built('ray', sources, flags, libraries)
        # `ray` must be on PATH for a cluster, and an empty RAY_ADDRESS makes it abort.
        env = {'PATH': os.path.join(self.folder, 'ray', 'bin') + os.pathsep + os.environ.get('PATH', ''),
               'RAY_ADDRESS': None}
        if name == 'ray':
            return [program, 'local'], env
        # Workers look for functions in files of this name only.
        shared = self._built('ray_functions', sources, flags + ['-fPIC', '-shared'], libraries, suffix='.so')
        return [program, '--ray_code_search_path=' + shared], env


def _left_behind(name, env):
    # Not done here: it would stop every cluster of the machine.
    return '\nIts cluster may still run: %s/ray stop' % env['PATH'].split(os.pathsep)[0] if name == 'cluster' else ''


def run(name, command, env, log):
    """Runs a program to its end and returns what it printed; all of its output goes to the file `log`, too."""
    merged = {key: value for key, value in {**os.environ, **env}.items() if value is not None}
    with open(log, 'w', encoding='utf-8') as errors:
        process = subprocess.Popen(command, env=merged, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=errors, text=True, start_new_session=True)
        try:
            output, _ = process.communicate(timeout=RUN_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Problem('%s did not end within %d s; see %s%s' %
                              (name, RUN_SECONDS, log, _left_behind(name, env))) from None
            raise
        errors.write(output)
    if process.returncode != 0:
        raise Problem('%s ended with %d; see %s%s' % (name, process.returncode, log, _left_behind(name, env)))
    return output
