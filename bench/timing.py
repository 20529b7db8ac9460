"""How long one operation takes on the CPU, in one process."""

import time


def per_operation_ns(run, count: int) -> float:
    """Run `run()`, which does `count` operations; return the CPU time of each, ns.

    CPU time, not wall time: what other processes of the machine took in between is not counted.
    """
    begin = time.thread_time_ns()
    run()
    return (time.thread_time_ns() - begin) / count
