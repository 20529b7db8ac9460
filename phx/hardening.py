"""What a process that holds keys forbids the kernel: core files, and other processes of the user in its memory."""

import ctypes
import resource
import sys

PR_SET_DUMPABLE = 4  # sys/prctl.h


def harden() -> None:
    """Keep the keys of this process out of core files, and other processes of the user out of its memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")


def keep_out_of_swap(value: bytes) -> bool:
    """Lock the pages of these bytes in memory; return whether the kernel allowed it.

    Best effort: copies that libraries make on the way (JSON text, HTTP headers, HMAC states) are beyond reach, which is
    why `phx doctor` warns of a host that swaps.
    """
    libc = ctypes.CDLL(None)
    return libc.mlock(ctypes.c_void_p(id(value)), ctypes.c_size_t(sys.getsizeof(value))) == 0
