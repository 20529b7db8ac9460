"""What one account's gateway has, and tells: its desks, the wallet, profit and the day, funding, positions.

The core (gateway.pyx) acts; these are the books it does it by.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport llabs
from libc.string cimport memset

from phx._core.account cimport Account
from phx._core.desk cimport Desk
from phx._core.enums cimport EXEC_FUNDING, EXEC_POSITION, JOURNAL_EPOCH, JOURNAL_FUNDING, JOURNAL_POSITION
from phx._core.records cimport Account as AccountRecord
from phx._core.records cimport ExecEvent, JournalEntry
from phx._core.ring cimport RingWriter
from phx._core.risk cimport notional_e8
from phx._core.throttle cimport expire, used

cdef int64_t DAY_S = 86_400


cdef class GatewayBooks:
    """The desks of one account. account_writer: the ring of ACCOUNT records."""

    def __init__(self, Account account, RingWriter account_writer, int64_t now_ns):
        self.account = account
        self.account_writer = account_writer
        self.desks = []
        self.desk_by_id = {}
        self.unattributed, self.fees_missing = {}, {}
        self.user_stream_up = False
        self.account_dirty = True
        cdef JournalEntry entry
        memset(&entry, 0, sizeof(entry))
        entry.kind = JOURNAL_EPOCH
        account.write_journal(&entry, now_ns)

    def add(self, Desk desk):
        """Trade one more symbol; only before the first step."""
        self.desks.append(desk)
        self.desk_by_id[desk.symbol_id] = desk

    def desk(self, int symbol_id):
        """Return a symbol's desk. KeyError when it is not traded."""
        return self.desk_by_id[symbol_id]

    # ---- what the others say -------------------------------------------------------------------------------------

    def take_operator(self, operator):
        """Take what the operator wants of each symbol. operator: an OPERATOR record."""
        cdef Desk desk
        wanted = operator["wanted"]
        for desk in self.desks:
            desk.operator_state = wanted[desk.symbol_id]

    def take_proof(self, proof):
        """Take the guardian's word how far ahead the dead man's switch is armed. proof: a PROOF record; None: not."""
        cdef Desk desk
        for desk in self.desks:
            desk.proof_deadline_mono_ns = 0 if proof is None else proof["deadline_mono_ns"][desk.symbol_id]
            if proof is not None:
                desk.proof_period_ns = proof["period_ns"]

    def void_ladders(self):
        """Follow no ladder that was published before now."""
        for desk in self.desks:
            desk.void_ladder()

    # ---- wallet, profit, the day ---------------------------------------------------------------------------------

    @property
    def wallet_e8(self):
        """The balance that carries everything, as the venue last said."""
        return self.account.wallet_e8

    @wallet_e8.setter
    def wallet_e8(self, int64_t wallet_e8):
        self.account.wallet_e8 = wallet_e8

    def profit_e8(self, symbol_id=None):
        """Return realised + unrealised - fees + funding of a symbol, or of all, since the totals began."""
        cdef Desk desk
        return sum(self.account.pnl_e8[desk.symbol_id] for desk in self.desks if symbol_id in (None, desk.symbol_id))

    def turn_day(self, int64_t utc_s):
        """Begin a new UTC day if it is a later one; return whether it was."""
        cdef int64_t start_s = utc_s - utc_s % DAY_S
        if start_s <= self.day_start_s:
            return False
        # Yesterday's profit is not today's: the totals go on, the day begins at zero.
        self.day_start_s, self.day_base_e8 = start_s, -self.profit_e8()
        return True

    # ---- funding, position ---------------------------------------------------------------------------------------

    def on_funding(self, int symbol_id, int64_t amount_e8, int64_t ts_ns, int64_t now_ns):
        """Book a funding payment: received positive."""
        cdef Desk desk = self.desk_by_id[symbol_id]
        cdef JournalEntry entry
        cdef ExecEvent event
        desk.position.funding_e8 += amount_e8
        memset(&entry, 0, sizeof(entry))
        entry.ts_ns, entry.fee_e8, entry.symbol_id, entry.kind = ts_ns, -amount_e8, symbol_id, JOURNAL_FUNDING
        self.account.write_journal(&entry, now_ns)
        memset(&event, 0, sizeof(event))
        event.ts_event_ns, event.fee_e8 = ts_ns, -amount_e8
        desk.publish_exec(&event, NULL, EXEC_FUNDING, now_ns)

    def on_position(self, int symbol_id, int64_t position_lots, int64_t open_cost_ticklots, int64_t now_ns):
        """Set the position to the venue's truth; what differs was missed and is booked as closed at cost."""
        cdef Desk desk = self.desk_by_id[symbol_id]
        cdef JournalEntry entry
        cdef ExecEvent event
        if position_lots == desk.position.position_lots:
            return
        desk.counters.position_drift += 1
        desk.position.position_lots = position_lots
        desk.position.open_cost_ticklots = open_cost_ticklots
        memset(&entry, 0, sizeof(entry))
        entry.position_lots, entry.symbol_id, entry.kind = position_lots, symbol_id, JOURNAL_POSITION
        self.account.write_journal(&entry, now_ns)
        memset(&event, 0, sizeof(event))
        desk.publish_exec(&event, NULL, EXEC_POSITION, now_ns)
        desk.must_see()

    # ---- telling -------------------------------------------------------------------------------------------------

    def published(self):
        """Return the symbol ids whose own record was published since the last call: their quoters want a bell."""
        cdef Desk desk
        found = []
        for desk in self.desks:
            if desk.own_writer.seq != self.own_seen[desk.symbol_id]:
                self.own_seen[desk.symbol_id] = desk.own_writer.seq
                found.append(desk.symbol_id)
        return found

    def live_orders(self, int symbol_id):
        """Return {intent_id: fields} of a symbol's live orders."""
        return {intent_id: self.account.table.order(intent_id)
                for intent_id in self.account.table.live_intents(symbol_id)}

    def tell_account(self, int64_t now_ns):
        """Publish the account record now."""
        self.publish_account(now_ns)

    cdef void publish_account(self, int64_t now_ns):
        cdef AccountRecord row
        cdef Desk desk
        memset(&row, 0, sizeof(row))
        row.now_mono_ns, row.epoch, row.wallet_e8 = now_ns, self.account.epoch, self.account.wallet_e8
        row.equity_e8, row.worst_margin_e8 = self.account.equity_e8(), self.account.others_margin_e8(-1)
        row.day_start_s, row.daily_pnl_e8 = self.day_start_s, self.day_base_e8
        row.journal_seq = self.account.journal.seq
        for desk in self.desks:
            row.daily_pnl_e8 += self.account.pnl_e8[desk.symbol_id]
            row.worst_notional_e8 += self.account.worst_notional_e8[desk.symbol_id]
            row.gross_notional_e8 += notional_e8(
                desk.market.value_ticks, llabs(desk.position.position_lots), desk.rules.ticklot_e8)
            row.open_orders += self.account.table.live_count[desk.symbol_id]
            row.unknown_orders += desk.measure.unknown[0] + desk.measure.unknown[1]
        expire(&self.account.orders_sent, now_ns)
        row.orders_10s, row.orders_60s = used(&self.account.orders_sent, 1), used(&self.account.orders_sent, 2)
        row.weight_60s, row.weight_limit = self.weight_60s, self.weight_limit
        row.ready, row.user_stream_up = self.ready, self.user_stream_up
        row.order_session_up, row.no_open_order_proven = self.order_session_up, self.no_open_order_proven
        self.unknown_orders = row.unknown_orders
        self.account_writer.publish(&row)
        self.account_dirty, self.account_written_mono_ns = False, now_ns
