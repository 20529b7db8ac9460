"""What only somebody who watches over time can tell: drawdown from the peak, cancels in the last minute."""

from collections import deque

from msgspec import Struct, field

from phx.ops.figures import Figures

RATE_WINDOW_S = 60.0


class Watched(Struct):
    """One symbol over time. cancels: (monotonic seconds, count) samples of the last minute."""

    peak_pnl: float = 0.0
    max_drawdown: float = 0.0
    cancels: deque[tuple[float, int]] = field(default_factory=deque)

    def look(self, now_s: float, found: Figures) -> None:
        """Take in the figures of this moment."""
        self.peak_pnl = max(self.peak_pnl, found.pnl)
        self.max_drawdown = max(self.max_drawdown, self.peak_pnl - found.pnl)
        if self.cancels and found.cancels < self.cancels[-1][1]:
            self.cancels.clear()  # the gateway began to count anew
        self.cancels.append((now_s, found.cancels))
        while self.cancels[0][0] < now_s - RATE_WINDOW_S:
            self.cancels.popleft()

    def cancels_per_minute(self) -> float:
        (first_s, first), (last_s, last) = self.cancels[0], self.cancels[-1]
        return (last - first) * 60.0 / (last_s - first_s) if last_s > first_s else 0.0
