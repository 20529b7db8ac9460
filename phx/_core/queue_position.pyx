"""Estimate how many lots stand ahead of a resting order, from trades and level changes alone.

A trade at our price certainly came off the front. The rest of a level's shrinking was cancelled, and
`behind_probability` says which share of it behind us.
Sources: Rigtorp, "Estimating order queue position"; hftbacktest's queue models.
"""

from libc.math cimport log1p, pow


cdef double behind_probability(QueueModel model, double power, double front, double back) noexcept nogil:
    if front <= 0 or model == QUEUE_RISK_AVERSE:
        return 1.0
    if back <= 0:
        return 0.0
    if model == QUEUE_POWER1:
        return pow(back, power) / (pow(back, power) + pow(front, power))
    if model == QUEUE_POWER2:
        return pow(back, power) / pow(back + front, power)
    if model == QUEUE_POWER3:
        return 1.0 - pow(front / (front + back), power)
    if model == QUEUE_LOG1:
        return log1p(back) / (log1p(back) + log1p(front))
    return log1p(back) / log1p(back + front)


cdef void queue_on_trade(QueuePosition *position, int64_t lots) noexcept nogil:
    position.front_lots = max(position.front_lots - lots, 0.0)
    position.traded_lots += lots


cdef void queue_on_level(
        QueuePosition *position, QueueModel model, double power, int64_t prev_lots, int64_t new_lots) noexcept nogil:
    # The trades since the last change explain a part of this one; they left the front already.
    cdef double cancelled = <double>(prev_lots - new_lots - position.traded_lots)
    cdef double front = position.front_lots
    cdef double back, behind
    position.traded_lots = 0
    if cancelled >= 0:
        back = prev_lots - front
        behind = behind_probability(model, power, front, back)
        # More cancels behind us than there was quantity: the surplus must have been ahead.
        front = front - (1.0 - behind) * cancelled + min(back - behind * cancelled, 0.0)
    position.front_lots = max(min(front, <double>new_lots), 0.0)


MODELS = {
    "risk_averse": QueueModel.QUEUE_RISK_AVERSE,
    "power1": QueueModel.QUEUE_POWER1,
    "power2": QueueModel.QUEUE_POWER2,
    "power3": QueueModel.QUEUE_POWER3,
    "log1": QueueModel.QUEUE_LOG1,
    "log2": QueueModel.QUEUE_LOG2,
}


def front_after(str model, double power, double front_lots, changes, int64_t traded_lots=0):
    """Return the lots ahead after `changes`: ("trade", lots) or ("level", prev_lots, new_lots), in order."""
    if model not in MODELS:
        raise ValueError(f"queue model {model!r}: expected one of {', '.join(MODELS)}")
    cdef QueueModel kind = MODELS[model]
    cdef QueuePosition position
    position.front_lots = front_lots
    position.traded_lots = traded_lots
    for change in changes:
        if change[0] == "trade":
            queue_on_trade(&position, change[1])
        elif change[0] == "level":
            queue_on_level(&position, kind, power, change[1], change[2])
        else:
            raise ValueError(f"change {change[0]!r}: expected trade or level")
    return position.front_lots
