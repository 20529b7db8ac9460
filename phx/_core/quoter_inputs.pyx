"""What a quoter reads: which rings, since which life of their writers, and whether something new is there."""

from libc.string cimport memset

from phx._core.live cimport Live
from phx._core.own_queue cimport OwnQueue
from phx._core.records cimport Operator, Own, Params
from phx._core.ring cimport RingReader

from phx._core import records

SOURCES = {
    "bbo": records.BBO,
    "book": records.BOOK,
    "tape": records.TAPE,
    "leader": records.BBO,
    "own": records.OWN,
    "exec": records.EXEC,
    "params": records.PARAMS,
    "operator": records.OPERATOR,
}


cdef class QuoterInputs:
    """The reading half of QuoterCore, which alone makes one."""

    def attach(self, source, memory):
        """Read a source (a key of SOURCES) from `memory` on. What its writer's earlier life said is void."""
        if source == "tape":
            if self.tape_ring is None:
                self.tape_ring = RingReader(memory, SOURCES[source])
            else:
                self.tape_ring.attach(memory, SOURCES[source])
            self.tape_seq = 0
            return
        if source == "exec":
            if self.exec_ring is None:
                self.exec_ring = RingReader(memory, SOURCES[source])
            else:
                self.exec_ring.attach(memory, SOURCES[source])
            self.exec_seq = 0
            return
        ring = RingReader(memory, SOURCES[source])
        # Only the newest record of these counts, and one that is there already is news.
        ring.attach(memory, SOURCES[source], from_start=True)
        if source == "bbo" or source == "book":
            # One writer's two views of one market: neither counts beside the other's earlier life.
            self.bbo.seq = self.book.seq = 0
            self.own_queue.sync_id = 0       # no book has it: what happened in between was not seen
            if source == "bbo":
                self.bbo_ring = ring
            else:
                self.book_ring = ring
        elif source == "leader":
            self.leader_ring, self.leader.seq = ring, 0
        elif source == "own":
            self.own_ring = ring
            memset(&self.own, 0, sizeof(Own))
            memset(&self.live, 0, sizeof(Live))
            memset(&self.own_queue, 0, sizeof(OwnQueue))
        elif source == "params":
            self.params_ring = ring          # an earlier life's parameters stay valid until ops says otherwise
        else:
            self.operator_ring = ring

    cdef bint has_news(self) noexcept nogil:
        return (
            (self.bbo_ring is not None and self.bbo_ring.has_news())
            or (self.book_ring is not None and self.book_ring.has_news())
            or (self.own_ring is not None and self.own_ring.has_news())
            or (self.exec_ring is not None and self.exec_ring.has_news())
            or (self.tape_ring is not None and self.tape_ring.has_news())
            or (self.leader_ring is not None and self.leader_ring.has_news())
            or (self.params_ring is not None and self.params_ring.has_news())
            or (self.operator_ring is not None and self.operator_ring.has_news())
        )

    cdef bint read_control(self) noexcept nogil:
        cdef Params params
        cdef Operator operator
        cdef bint news = refresh(self.params_ring, &self.params, sizeof(Params), &params)
        return refresh(self.operator_ring, &self.operator, sizeof(Operator), &operator) or news
