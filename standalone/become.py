"""Become another program, as another user if asked, that ends when its parent does.

Started as a file by `standalone/child.py`, never imported by it at run time: setting the death signal
belongs between fork and exec, and Python code there (`preexec_fn`) can deadlock in a program with
threads and is warned about since Python 3.12. So this small process does it to itself and then
becomes the program.

    become.py PARENT_PID DEATH_SIGNAL UID GID PROGRAM ARGUMENT …      (UID and GID "-": stay who we are)
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)
EXIT_PARENT_GONE = 113


def main(argv: list[str]) -> None:
    """Drop to the user, ask for the death signal, become the program. Raises OSError."""
    parent, death_signal, uid, gid, *program = argv
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        # After the change of user, because the kernel clears the setting there.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl(PR_SET_PDEATHSIG): {os.strerror(number)}")
        if os.getppid() != int(parent):
            # The parent ended before the request was made, so no signal will ever come.
            sys.exit(EXIT_PARENT_GONE)
    os.execv(program[0], program)  # noqa: S606 - becoming the program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
