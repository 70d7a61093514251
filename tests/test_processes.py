"""A process of the forge (tests/support/processes.py) is like one that a shell begins: tests that use it prove as much."""

import json
import os
import pty
import resource
import signal
import subprocess
import sys
from contextlib import ExitStack
from subprocess import DEVNULL, PIPE

import pytest

SELF = """
import json, os, resource, signal, sys, threading
from pathlib import Path
streams = (sys.stdin, sys.stdout, sys.stderr)
facts = {
    "words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ), "first in path": sys.path[0],
    "user": os.getresuid() + os.getresgid(), "umask": os.umask(0), "group": os.getpgid(0), "session": os.getsid(0),
    "limits": [resource.getrlimit(limit) for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)],
    "signals": {number: str(signal.getsignal(number)).partition(" at 0x")[0] for number in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "files": sum(Path(f"/proc/self/fd/{number}").exists() for number in range(100)),
    "terminals": [stream.isatty() for stream in streams],
    "streams": [(stream.encoding, stream.errors, stream.line_buffering) for stream in streams],
    "threads": threading.active_count(), "niceness": os.nice(0), "warnings": sys.warnoptions, "flags": list(sys.flags),
    "capabilities": [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Cap")],
}
Path("facts.json").write_text(json.dumps(facts))
"""
ENDS = {
    "well": "print('said')",
    "with a code": "import sys; print('said'); sys.exit(7)",
    "with words": "import sys; sys.exit('it is no use')",
    "with nothing": "raise SystemExit",
    "with an error": "1 / 0",
    "with an interrupt": "raise KeyboardInterrupt",
    "by a signal": "import os; os.kill(os.getpid(), 15)",
    "with a last word": "import atexit; atexit.register(print, 'the last')",
    "with a thread": "import threading; threading.Timer(0.01, print, ['the thread']).start()",
    "with a closed stream": "import os; print('unheard'); os.close(1)",
}


@pytest.fixture
def script(tmp_path):
    def write(text):
        path = tmp_path / "script.py"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def both(forge, tmp_path):
    """Has a fork and an ordinary process run a script, and gives how each ended and what it said."""

    def run(script, *words, **how):
        ends = []
        with forge.begin(*words, program=script, folder=tmp_path, **how) as process:
            out, err = process.communicate()
            ends.append((process.returncode, out, err))
        done = subprocess.run(
            [sys.executable, script, *words], cwd=tmp_path, text=True, check=False,
            **{"stdin": DEVNULL, "stdout": PIPE, "stderr": PIPE} | how,
        )  # fmt: skip
        return [*ends, (done.returncode, done.stdout, done.stderr)]

    return run


@pytest.mark.parametrize("screen", [False, True], ids=["pipes", "terminal"])
def test_a_fork_finds_itself_where_any_process_would(both, script, tmp_path, screen):
    probe = script(SELF + "Path('facts.json').rename(Path(f'facts-{os.getpid()}.json'))")
    with ExitStack() as closing:
        how = {"env": dict(os.environ) | {"MINE": "1"}}
        if screen:
            person, terminal = pty.openpty()
            closing.callback(os.close, person)
            closing.callback(os.close, terminal)
            how |= dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
        codes = [code for code, _, _ in both(probe, "a", "b c", **how)]
    fork, ordinary = (json.loads(path.read_text()) for path in tmp_path.glob("facts-*.json"))
    assert codes == [0, 0]
    assert fork == ordinary
    assert ordinary["terminals"] == [screen] * 3
    assert ordinary["environment"]["MINE"] == "1"


@pytest.mark.parametrize("end", ENDS)
def test_a_fork_ends_as_any_process_would(both, script, end):
    fork, ordinary = both(script(ENDS[end]))
    assert fork[:2] == ordinary[:2]
    assert fork[2].splitlines()[-1:] == ordinary[2].splitlines()[-1:]  # a traceback begins with who called the script


def test_a_fork_does_first_what_it_is_told(forge, script, tmp_path):
    first = [("resource:setrlimit", resource.RLIMIT_FSIZE, (5, resource.RLIM_INFINITY))]
    too_much = script("open('out', 'wb', buffering=0).write(b'0123456789')\nopen('out', 'ab', buffering=0).write(b'x')")
    with forge.begin(program=too_much, folder=tmp_path, first=first) as process:
        _, err = process.communicate()
    assert process.returncode == 1
    assert "File too large" in err
    assert (tmp_path / "out").read_bytes() == b"01234"


def test_a_fork_that_is_stopped_and_goes_on_tells_of_both(forge, script, tmp_path):
    process = forge.begin(program=script("import os\nos.kill(os.getpid(), 19)\nprint('awake')"), folder=tmp_path)
    with process:
        assert process.pause() is None
        assert process.poll() is None
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[0] == "awake\n"
    assert process.returncode == 0


def test_what_python_reads_at_its_start_cannot_be_given_to_a_fork(forge, tmp_path):
    with pytest.raises(AssertionError, match="PYTHONPATH"):
        forge.begin(folder=tmp_path, env=dict(os.environ) | {"PYTHONPATH": "here"})
