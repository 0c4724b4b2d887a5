"""Runs a few lines as a user who may do little, whoever runs the tests."""

from __future__ import annotations

import subprocess
import sys

_DROP = """
import os
if os.getuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""


def unprivileged(imports: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `imports` as we are, then `code` as nobody in particular, with arguments in `sys.argv[1:]`."""
    program = f"import sys\n{imports}\n{_DROP}\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )
