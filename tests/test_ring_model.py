"""Every interleaving of the ring's steps: one writer, one reader, six records in two slots.

Method: the stores of a publish and the loads of a read are events; what must stay in order (same location, release,
acquire, fences) is a partial order, everything else may reach memory in any order, as on a machine weaker than x86.
All states are visited. The writer may also die at any point: then nothing more happens and the reader must come to
its end all the same. Each mutant weakens one step of the protocol and must be reported.
"""

import pytest

RECORDS, SLOTS, WORDS = 6, 2, 3
CURSOR = ("cursor",)


def number(slot):
    return ("number", slot)


def word(slot, i):
    return ("word", slot, i)


def publish_events(mutant: str):
    """Return ([(location, value)], [predecessors as bits]) of all stores of the writer, in program order."""
    stores, before = [], []
    fenced = 0  # every event here is ordered before each later store
    for seq in range(1, RECORDS + 1):
        slot = seq % SLOTS
        payload = [(word(slot, i), seq) for i in range(WORDS)]
        publish = [(number(slot), seq)]
        steps = payload + publish if mutant != "number before payload" else publish + payload
        if mutant != "no invalidate":
            steps = [(number(slot), 0), *steps]
        for location, value in [*steps, (CURSOR, seq)]:
            so_far = (1 << len(stores)) - 1
            need = fenced
            for earlier, (other, _) in enumerate(stores):
                if other == location:
                    need |= 1 << earlier
            release = (location == number(slot) and value and mutant != "relaxed publish") or (
                location == CURSOR and mutant != "relaxed cursor"
            )
            if release:
                need |= so_far
            stores.append((location, value))
            before.append(need)
            if location == number(slot) and not value and mutant != "no release fence":
                fenced = (1 << len(stores)) - 1
    return stores, before


class Model:
    """The state space; `torn`, `wrong` and `stuck` collect what must never be."""

    def __init__(self, mutant: str = ""):
        self.mutant = mutant
        self.stores, self.before = publish_events(mutant)
        self.faults: set[str] = set()
        self.seen = set()

    def memory(self, done: int) -> dict:
        """Return what memory holds after the performed stores: per location the last of them in program order."""
        found = {}
        for i, (location, value) in enumerate(self.stores):
            if done >> i & 1:
                found[location] = value
        return found

    def run(self, until: str = "") -> set[str]:
        """Visit every state, or stop once the fault `until` was met; return the faults met."""
        pending = [(0, self.reader_start(1, 0, 0))]
        while pending and until not in self.faults:
            state = pending.pop()
            if state in self.seen:
                continue
            self.seen.add(state)
            done, reader = state
            for i in range(len(self.stores)):
                if not done >> i & 1 and self.before[i] & ~done == 0:
                    pending.append((done | 1 << i, reader))
            pending += [(done, following) for following in self.reader_steps(done, reader)]
        return self.faults

    # A reader is (wanted, delivered, lost, phase, first, words, again, empties): `words` the loads done so far,
    # `empties` the memory in which it was told EMPTY although the record was published, and how often.
    def reader_start(self, wanted, delivered, lost, empties=None):
        return (wanted, delivered, lost, "first", None, (None,) * WORDS, None, empties)

    def reader_steps(self, done, reader):
        wanted, delivered, lost, phase, first, words, again, empties = reader
        if wanted > RECORDS:
            return
        memory = self.memory(done)
        slot = wanted % SLOTS if self.mutant != "wrong mask" else 0
        value = memory.get(number(slot), 0)
        if phase == "first":
            early = [(i, memory.get(word(slot, i), 0)) for i in range(WORDS) if words[i] is None]
            if self.mutant == "relaxed first load":  # then payload loads may be performed before it
                for i, loaded in early:
                    got = (*words[:i], loaded, *words[i + 1 :])
                    yield (wanted, delivered, lost, phase, first, got, again, empties)
            if value == 0 and self.mutant != "zero is empty":
                yield (wanted, delivered, lost, "successor", first, words, again, empties)
            else:
                yield self.judge_first(done, reader, value)
        elif phase == "successor":
            if memory.get(number((wanted + 1) % SLOTS), 0) <= wanted:
                yield self.empty(done, reader)
            elif self.mutant == "successor decides":
                yield self.lapped(done, reader)
            else:
                yield (wanted, delivered, lost, "second", first, words, again, empties)
        elif phase == "second":
            yield self.lapped(done, reader) if value == 0 else self.judge_first(done, reader, value)
        elif phase == "copy":
            for i in range(WORDS):
                if words[i] is None:
                    got = (*words[:i], memory.get(word(slot, i), 0), *words[i + 1 :])
                    yield (wanted, delivered, lost, phase, first, got, again, empties)
            if again is None and (None not in words or self.mutant == "no acquire fence"):
                yield (wanted, delivered, lost, phase, first, words, value, empties)
            if again is not None and None not in words:
                yield self.judge_copy(done, reader)

    def judge_first(self, done, reader, value):
        wanted, delivered, lost, _, _, words, _, empties = reader
        if value < wanted:
            return self.empty(done, reader)
        if value > wanted:
            return self.lapped(done, reader)
        return (wanted, delivered, lost, "copy", value, words, None, empties)

    def judge_copy(self, done, reader):
        wanted, delivered, lost, _, first, words, again, _ = reader
        accepted = again == first
        if self.mutant == "no re-check":
            accepted = True
        elif self.mutant == "evenness only":
            accepted = again != 0
        if not accepted:
            return self.lapped(done, reader)
        if set(words) != {wanted}:
            self.faults.add("torn")
        return self.reader_start(wanted + 1, delivered + 1, lost)

    def empty(self, done, reader):
        wanted, delivered, lost, *_, empties = reader
        published = self.memory(done).get(CURSOR, 0)
        # The writer may be dead here: then every store before its end has arrived and none after it. What it
        # published by the cursor must be delivered or reported lost; a reader that asks again in the same memory
        # (twice, for its loads may have been early) is stuck.
        may_be_dead = done & (done + 1) == 0
        if published < wanted or not may_be_dead:
            return self.reader_start(wanted, delivered, lost)
        attempts = empties[1] + 1 if empties and empties[0] == done else 1
        if attempts == 3:
            self.faults.add("stuck")
        return self.reader_start(wanted, delivered, lost, (done, min(attempts, 3)))

    def lapped(self, done, reader):
        wanted, delivered, lost, *_ = reader
        memory = self.memory(done)
        if memory.get(number(wanted % SLOTS), 0) == wanted:
            self.faults.add("false lap")
        newest, behind = memory.get(CURSOR, 0), (SLOTS - 1) // 2
        following = newest - behind if newest > wanted + behind else wanted + 1
        if delivered + lost + following - wanted != following - 1:
            self.faults.add("wrong count")
        return self.reader_start(following, delivered, lost + following - wanted)


def test_no_interleaving_tears_a_record_or_stops_the_reader_or_miscounts():
    model = Model()
    assert model.run() == set()
    assert len(model.seen) > 10_000  # else nothing was explored


@pytest.mark.parametrize(
    ("mutant", "fault"),
    [
        ("no invalidate", "torn"),
        ("no release fence", "torn"),
        ("relaxed publish", "torn"),
        ("number before payload", "torn"),
        ("no re-check", "torn"),
        ("evenness only", "torn"),
        ("no acquire fence", "torn"),
        ("relaxed first load", "torn"),
        ("zero is empty", "stuck"),
        ("successor decides", "false lap"),
        ("wrong mask", "stuck"),
    ],
)
def test_a_broken_twin_is_reported(mutant, fault):
    assert fault in Model(mutant).run(until=fault)
