"""Virtual time: what is due happens in the order of its time, and the clock says when that is."""

import heapq
from collections.abc import Iterator


class VirtualTime:
    """now_ns stands still while something happens. What is due at the same time happens in the order it was asked."""

    def __init__(self, now_ns: int):
        self.now_ns = now_ns
        self._queue: list[tuple] = []
        self._asked = 0

    def after(self, delay_ns: int, happen, *arguments) -> None:
        """Let something happen after a delay."""
        self._asked += 1  # also keeps the queue from comparing what happens
        heapq.heappush(self._queue, (self.now_ns + delay_ns, self._asked, happen, arguments))

    def every(self, period_ns: int, happen) -> None:
        """Let something happen now and again after each period."""
        happen()
        self.after(period_ns, self.every, period_ns, happen)

    def run_until(self, until_ns: int) -> Iterator[int]:
        """Let everything happen that is due until then; yield the time after each."""
        while self._queue and self._queue[0][0] <= until_ns:
            self.now_ns, _, happen, arguments = heapq.heappop(self._queue)
            happen(*arguments)
            yield self.now_ns
        self.now_ns = max(self.now_ns, until_ns)
