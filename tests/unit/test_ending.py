"""How the process ends where a thread is still in a library."""

import subprocess
import sys

import pytest

_LEFT_IN_OPENCV = """
import sys, threading, time
import cv2, numpy
from agent import __main__ as program

image = numpy.zeros((3000, 4000, 3), numpy.uint8)

def blur():
    while True:
        cv2.GaussianBlur(image, (0, 0), 3)

def run():
    threading.Thread(target=blur, daemon=True).start()
    time.sleep(0.2)
    print("the last words")
    return int(sys.argv[1])

program.main = run
program.command_line()
"""


@pytest.mark.parametrize("code", [0, 1])
def test_a_thread_that_is_left_in_a_library_changes_no_exit_code(code: int) -> None:
    """Python's own ending aborts there, 5 times of 6 (SIGABRT); what was printed is not lost either."""
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", _LEFT_IN_OPENCV, str(code)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (code, "the last words\n", "")
