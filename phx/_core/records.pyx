"""numpy dtypes of every record, asked of the compiler, and the hash by which two processes agree on a layout."""

import numpy as np

cdef SegmentHeader _header
cdef Bbo _bbo
cdef Book _book
cdef TapeEvent _tape
cdef Ladder _ladder
cdef Own _own
cdef ExecEvent _exec
cdef Params _params
cdef Operator _operator
cdef QuoterState _quoter_state
cdef Decision _decision
cdef Account _account
cdef Proof _proof
cdef JournalEntry _journal
cdef FeedCounters _feed_counters
cdef QuoterCounters _quoter_counters
cdef GatewayCounters _gateway_counters
cdef ProcessCounters _process_counters

SEGMENT_HEADER = np.asarray(<SegmentHeader[:1]>&_header).dtype
BBO = np.asarray(<Bbo[:1]>&_bbo).dtype
BOOK = np.asarray(<Book[:1]>&_book).dtype
TAPE = np.asarray(<TapeEvent[:1]>&_tape).dtype
LADDER = np.asarray(<Ladder[:1]>&_ladder).dtype
OWN = np.asarray(<Own[:1]>&_own).dtype
EXEC = np.asarray(<ExecEvent[:1]>&_exec).dtype
PARAMS = np.asarray(<Params[:1]>&_params).dtype
OPERATOR = np.asarray(<Operator[:1]>&_operator).dtype
QUOTER_STATE = np.asarray(<QuoterState[:1]>&_quoter_state).dtype
DECISION = np.asarray(<Decision[:1]>&_decision).dtype
ACCOUNT = np.asarray(<Account[:1]>&_account).dtype
PROOF = np.asarray(<Proof[:1]>&_proof).dtype
JOURNAL = np.asarray(<JournalEntry[:1]>&_journal).dtype
FEED_COUNTERS = np.asarray(<FeedCounters[:1]>&_feed_counters).dtype
QUOTER_COUNTERS = np.asarray(<QuoterCounters[:1]>&_quoter_counters).dtype
GATEWAY_COUNTERS = np.asarray(<GatewayCounters[:1]>&_gateway_counters).dtype
PROCESS_COUNTERS = np.asarray(<ProcessCounters[:1]>&_process_counters).dtype

# Records that travel in rings, by the name of their kind of segment.
RING_RECORDS = {
    "bbo": BBO,
    "book": BOOK,
    "tape": TAPE,
    "ladder": LADDER,
    "own": OWN,
    "exec": EXEC,
    "params": PARAMS,
    "operator": OPERATOR,
    "state": QUOTER_STATE,
    "decisions": DECISION,
    "account": ACCOUNT,
    "proof": PROOF,
    "journal": JOURNAL,
}
COUNTER_BLOCKS = {
    "feed": FEED_COUNTERS,
    "quoter": QUOTER_COUNTERS,
    "gateway": GATEWAY_COUNTERS,
    "process": PROCESS_COUNTERS,
}

HEADER_BYTES = SEGMENT_HEADER_BYTES
MAGIC = SEGMENT_MAGIC
LEVELS = BOOK_LEVELS
LAYERS = LADDER_LAYERS
ORDERS = OWN_ORDERS
SYMBOLS = MAX_SYMBOLS
BUCKETS = HISTOGRAM_BUCKETS
ABSENT_PRICE_TICKS = NO_PRICE


def fnv1a(bytes data):
    """Return the 64-bit FNV-1a hash of data; the same in every process, unlike hash()."""
    cdef uint64_t value = 0xcbf29ce484222325
    cdef unsigned char byte
    for byte in data:
        value = (value ^ byte) * <uint64_t>0x100000001b3
    return value


def layout_hash(dtype):
    """Return a number that differs when a field's name, type, shape or offset, or the record's size differs."""
    fields = [f"{name}:{field[0].base.str}:{field[0].shape}:{field[1]}" for name, field in dtype.fields.items()]
    return fnv1a(f"{dtype.itemsize};{';'.join(fields)}".encode())
