# The rings a quoter reads, and the newest record of each.
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from phx._core.live cimport Live
from phx._core.own_queue cimport OwnQueue
from phx._core.records cimport Bbo, Book, Operator, Own, Params
from phx._core.ring cimport RING_OK, RingReader

cdef inline bint refresh(RingReader ring, void *newest, size_t size, void *scratch) noexcept nogil:
    # Through a scratch record: a read that fails half way must not spoil the record we hold.
    if ring is None or not ring.has_news() or ring.newest(scratch) != RING_OK:
        return False
    memcpy(newest, scratch, size)
    return True

cdef class QuoterInputs:
    # A record whose seq is 0 is not known yet, or void since its writer's last life.
    cdef RingReader bbo_ring, book_ring, tape_ring, leader_ring, own_ring, exec_ring, params_ring, operator_ring
    cdef Bbo bbo
    cdef Book book
    cdef Bbo leader                          # top of book of the instrument that leads
    cdef Own own
    cdef Params params
    cdef Operator operator
    cdef uint64_t tape_seq
    cdef uint64_t exec_seq
    cdef Live live                           # of `own`
    cdef OwnQueue own_queue                  # where our live orders stand in their queues
    cdef bint has_news(self) noexcept nogil
    cdef bint read_control(self) noexcept nogil
