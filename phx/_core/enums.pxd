# The words of phx as numbers. Explicit values, 0 is NONE, never renumbered; an unknown word of the venue is 255.

cpdef enum Side:
    BUY = 1
    SELL = -1

cpdef enum BookFlag:             # bits
    BOOK_UNSYNCED = 1            # rebuilding from a snapshot: nobody may quote on it
    BOOK_CROSSED = 2             # best bid >= best ask
    BOOK_SATURATED = 4           # a quantity did not fit its field and was cut to the largest value
    BOOK_ONE_SIDED = 8           # a side is empty: its best price is NO_PRICE

cpdef enum Told:                 # bits: what the process around a quoter's core said before a decision
    TOLD_FEED_ALIVE = 1          # the feed's heartbeat is young
    TOLD_LATCHED = 2             # a latch stops the symbol as it is
    TOLD_LOSS_LATCHED = 4        # a daily-loss latch: the position is to be closed
    TOLD_FROZE = 8               # the process did not run for longer than its limit

cpdef enum TapeKind:
    TAPE_NONE = 0
    TAPE_TRADE = 1
    TAPE_MARK = 2                # mark price, predicted funding rate, next funding time

cpdef enum TradeOrigin:
    ORIGIN_NONE = 0              # `X` = NA: price and quantity are zero, no trade at all
    ORIGIN_MARKET = 1
    ORIGIN_RPI = 2               # retail price improvement: trades inside the visible spread
    ORIGIN_LIQUIDATION = 3       # ADL
    ORIGIN_INSURANCE = 4         # insurance fund, often far off the market
    ORIGIN_UNKNOWN = 255

cpdef enum Mode:
    MODE_NONE = 0
    MODE_NORMAL = 1
    MODE_PINNING = 2
    MODE_GRINDING = 3
    MODE_FLATTENING = 4
    MODE_COOLING = 5
    MODE_PAUSED = 6
    MODE_HALTED = 7

cpdef enum Reason:               # why a quoter is in its mode, or why a ladder is empty
    REASON_NONE = 0
    REASON_WARMING_UP = 1        # no own record, no parameters or no book yet
    REASON_BOOK_UNSYNCED = 2
    REASON_BOOK_STALE = 3
    REASON_BOOK_CROSSED = 4
    REASON_FEED_LOST = 5         # the feed's heartbeat is too old
    REASON_GATEWAY_NOT_READY = 6
    REASON_OPERATOR = 7
    REASON_LATCH = 8
    REASON_WORST_CASE = 9        # every layer of a side was trimmed away
    REASON_OWN_FREEZE = 10       # this process did not run for longer than its limit
    REASON_BOOK_ONE_SIDED = 11   # a side is empty, or holds nothing but our own orders
    REASON_DISABLED = 12         # by configuration: traded no more
    REASON_RATIO_ROSE = 13       # |inventory / net_max| reached the mode's enter threshold
    REASON_RATIO_FELL = 14       # it fell below the mode's exit threshold, the dwell time over
    REASON_PATIENCE = 15         # pinning did not bring the inventory down in its time
    REASON_VOLATILITY = 16       # sigma_30m is too high to grind
    REASON_LOSS_BUDGET = 17      # grinding has used up what it may lose
    REASON_STOP_LOSS = 18        # the position's loss against its cost
    REASON_DRAWDOWN = 19         # net PnL fell too far below its peak
    REASON_EMERGENCY = 20        # the inventory is beyond what quoting can ever reach
    REASON_DAILY_LOSS = 21       # the account lost too much since 00:00 UTC
    REASON_FLAT = 22             # flattening reached its target
    REASON_COOLED = 23           # the time after a flattening is over
    REASON_TOXIC = 24            # vpin is above its pause threshold
    REASON_THROTTLE = 25         # an execution throttle or market-maker protection asks for a pause
    REASON_VENUE_RULE = 26       # the venue lets this account only reduce

cpdef enum QuotingModel:
    MODEL_ASMM = 0
    MODEL_AVELLANEDA_STOIKOV = 1
    MODEL_GLFT = 2

cpdef enum FairSource:
    FAIR_MID = 0
    FAIR_MICRO = 1               # quantity-weighted
    FAIR_LEADER = 2              # the microprice, led by another instrument
    FAIR_STOIKOV = 3             # the fitted micro-price table, else the microprice

cpdef enum OrderState:
    ORDER_NONE = 0
    ORDER_PENDING_NEW = 1
    ORDER_OPEN = 2
    ORDER_PENDING_AMEND = 3
    ORDER_PENDING_CANCEL = 4
    ORDER_UNKNOWN = 5            # sent, no answer: counts in full until evidence
    ORDER_CLOSED = 6

cpdef enum ExecKind:
    EXEC_NONE = 0
    EXEC_ACK = 1
    EXEC_FILL = 2
    EXEC_CANCEL = 3
    EXEC_REJECT = 4
    EXEC_AMEND = 5
    EXEC_POSITION = 6            # position set from the venue's truth
    EXEC_EXPIRE = 7
    EXEC_UNKNOWN = 8             # the outcome of a request is unknown
    EXEC_FUNDING = 9

cpdef enum RejectReason:         # why phx itself refused an intent
    REJECT_NONE = 0
    REJECT_NOT_READY = 1         # start-up path not finished, or stopping
    REJECT_NO_PROOF = 2          # dead man's switch not armed far enough ahead
    REJECT_STALE_MARKET = 3
    REJECT_PRICE_COLLAR = 4      # C01
    REJECT_ORDER_VALUE = 5       # C02
    REJECT_ORDER_VOLUME = 6      # C03
    REJECT_MESSAGE_RATE = 7      # C04
    REJECT_POSITION = 8          # C07
    REJECT_GROSS_NOTIONAL = 9    # C08
    REJECT_DUPLICATE = 10        # C09
    REJECT_SELF_CROSS = 11       # C16
    REJECT_NOT_ALLOWED = 12      # C18: symbol not on the allow list
    REJECT_OPEN_ORDERS = 13      # C27
    REJECT_IN_FLIGHT = 14        # C29
    REJECT_OLD_LADDER = 15       # the ladder has not seen the newest fill or reject
    REJECT_PARAMS_VERSION = 16   # the ladder is of a newer parameter version than the gateway's
    REJECT_MIN_NOTIONAL = 17
    REJECT_NOT_FINITE = 18       # price or quantity out of any sane range
    REJECT_POST_ONLY = 19        # would take on our own market data
    REJECT_TABLE_FULL = 20
    REJECT_JOURNAL_FULL = 21
    REJECT_OPERATOR = 22
    REJECT_BACK_OFF = 23         # after rejects by the venue
    REJECT_STALE_LADDER = 24     # the quoter is gone, hung, or its ladder too old
    REJECT_LATCHED = 25          # a latch is set: a human must clear it
    REJECT_UNKNOWN_ORDER = 26    # an order of this side has an unknown outcome
    REJECT_USER_STREAM = 27      # the account's stream is down: fills would go unseen
    REJECT_DAILY_LOSS = 28       # C10
    REJECT_THROTTLE = 29         # C06: too many fills were followed by new orders, or refusals in a row
    REJECT_PROTECTION = 30       # C15: filled too much too fast, both sides are pulled for a while
    REJECT_MARGIN = 31           # C08: leverage or margin of the whole account
    REJECT_VENUE_RULE = 32       # the venue lets this account only reduce

cpdef enum OperatorState:
    OPERATOR_NONE = 0
    OPERATOR_RUN = 1
    OPERATOR_PAUSE = 2
    OPERATOR_FLATTEN = 3
    OPERATOR_KILL = 4

cpdef enum JournalKind:
    JOURNAL_NONE = 0
    JOURNAL_EPOCH = 1            # a gateway's life begins
    JOURNAL_PLACE = 2
    JOURNAL_AMEND = 3
    JOURNAL_CANCEL = 4
    JOURNAL_REPLY = 5
    JOURNAL_FILL = 6
    JOURNAL_TAKE_DONE = 7
    JOURNAL_FUNDING = 8
    JOURNAL_POSITION = 9

cpdef enum ProcessState:         # the state word of a segment's header, written last
    STATE_INITIALISING = 0
    STATE_READY = 1
    STATE_STOPPED = 2
