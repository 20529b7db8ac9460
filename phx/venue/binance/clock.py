"""The venue's clock as seen from ours.

Kept against the monotonic clock, so that a step of the wall clock changes nothing. exchangeInfo's serverTime is the
age of a cached document: only /fapi/v1/time is a clock.
"""

import time


class VenueClock:
    """Before the first synchronisation the own wall clock stands in."""

    def __init__(self):
        self.ahead_of_mono_ns = time.time_ns() - time.monotonic_ns()  # venue UTC = monotonic + this
        self.error_ns = 0  # half the round trip of the synchronisation: the venue's time is known no better
        self.synchronised_mono_ns = 0  # when; 0 = never

    def synchronise(self, venue_ns: int, sent_mono_ns: int, received_mono_ns: int) -> None:
        """Take one answer of the venue's clock; it was read somewhere between send and receipt."""
        self.ahead_of_mono_ns = venue_ns - (sent_mono_ns + received_mono_ns) // 2
        self.error_ns = (received_mono_ns - sent_mono_ns) // 2
        self.synchronised_mono_ns = received_mono_ns

    def venue_ns(self, now_mono_ns: int) -> int:
        """Return the venue's UTC time at a monotonic moment."""
        return now_mono_ns + self.ahead_of_mono_ns

    def timestamp_ms(self) -> int:
        """Return the `timestamp` of a request that is sent now."""
        return self.venue_ns(time.monotonic_ns()) // 1_000_000

    def ahead_of_wall_ns(self) -> int:
        """Return how far the venue's clock is ahead of our wall clock."""
        return self.venue_ns(time.monotonic_ns()) - time.time_ns()
