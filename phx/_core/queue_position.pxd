# Where a resting order stands in the queue of a recorded price level: lots ahead of it, estimated.
from libc.stdint cimport int64_t

cpdef enum QueueModel:
    QUEUE_RISK_AVERSE = 0       # cancels never happen ahead of us: only trades move us forward
    QUEUE_POWER1 = 1            # b^n / (b^n + f^n)
    QUEUE_POWER2 = 2            # b^n / (b + f)^n
    QUEUE_POWER3 = 3            # 1 - (f / (f + b))^n
    QUEUE_LOG1 = 4              # ln(1 + b) / (ln(1 + b) + ln(1 + f))
    QUEUE_LOG2 = 5              # ln(1 + b) / ln(1 + b + f)

cdef struct QueuePosition:
    double front_lots           # foreign lots ahead of us
    int64_t traded_lots         # traded at our price since the level's last change, already taken off front_lots

# The share of a shrinking level's cancels that happened behind us, given lots ahead and behind.
cdef double behind_probability(QueueModel model, double power, double front, double back) noexcept nogil
cdef void queue_on_trade(QueuePosition *position, int64_t lots) noexcept nogil
# prev and new: the level's quantity before and after, without our own orders.
cdef void queue_on_level(
    QueuePosition *position, QueueModel model, double power, int64_t prev_lots, int64_t new_lots) noexcept nogil
