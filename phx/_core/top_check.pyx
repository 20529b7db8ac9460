"""bookTicker as the judge of the rebuilt book: after each delta the top equals the newest ticker of no later id.

The two streams come in no common order, so tickers are remembered by id, and a top waits until a ticker of its own or
a later id has come: only then is it known which one is the newest not after it.
"""


cdef class TopCheck:
    """Of one instrument; counts what it compared and what was different."""

    cdef void on_ticker(self, const Top *ticker) noexcept nogil:
        if self.tickers and ticker.update_id <= self.ticker[(self.tickers - 1) % TICKERS].update_id:
            return
        self.ticker[self.tickers % TICKERS] = ticker[0]
        self.tickers += 1
        while (self.first_pending < self.end_pending
               and self.pending[self.first_pending % PENDING].update_id <= ticker.update_id):
            self.judge(&self.pending[self.first_pending % PENDING])
            self.first_pending += 1

    cdef void on_top(self, const Top *top) noexcept nogil:
        if self.tickers and self.ticker[(self.tickers - 1) % TICKERS].update_id >= top.update_id:
            self.judge(top)
            return
        if self.end_pending - self.first_pending == PENDING:
            self.first_pending += 1      # bookTicker is silent: the watchdog's business
        self.pending[self.end_pending % PENDING] = top[0]
        self.end_pending += 1

    cdef void judge(self, const Top *top) noexcept nogil:
        cdef int64_t i = self.tickers - 1, oldest = self.tickers - TICKERS
        cdef const Top *ticker
        while i >= 0 and i >= oldest and self.ticker[i % TICKERS].update_id > top.update_id:
            i -= 1
        if i < 0 or i < oldest:
            return                       # from before the first ticker we remember: nobody can tell
        ticker = &self.ticker[i % TICKERS]
        self.checked += 1
        if (ticker.price_ticks[0] == top.price_ticks[0] and ticker.price_ticks[1] == top.price_ticks[1]
                and ticker.qty_lots[0] == top.qty_lots[0] and ticker.qty_lots[1] == top.qty_lots[1]):
            self.different_in_row = 0
        else:
            self.different += 1
            self.different_in_row += 1

    cdef void forget(self) noexcept nogil:
        self.tickers = 0
        self.first_pending = 0
        self.end_pending = 0
        self.different_in_row = 0

    cdef void finish(self) noexcept nogil:
        while self.first_pending < self.end_pending:
            self.judge(&self.pending[self.first_pending % PENDING])
            self.first_pending += 1
