"""Whatever a client sends, the venue answers and lives."""

import hashlib
import hmac

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phx.sim.api import control
from phx.sim.api.request import Call
from phx.sim.api.rest_api import ENDPOINTS
from phx.sim.api.ws import StreamListener, route
from phx.sim.api.ws_api import DECODER, METHODS, ApiSession
from phx.sim.exchange.limits import Limits
from phx.sim.faults.trouble import Trouble
from phx.sim.keys.signing import Key, Keys, payload_of
from phx.sim.process import build
from phx.sim.refusals import Refused

scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(), st.text(max_size=8))
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.text(max_size=4), scalars, max_size=3))
names = st.sampled_from(
    ["symbol", "side", "type", "quantity", "price", "orderId", "limit", "recvWindow", "timeInForce"]
)
plausible = st.sampled_from(
    ["BTCUSDC", "BUY", "SELL", "LIMIT", "MARKET", "GTC", "GTX", "0.01", "64000", "-1", "1e9", ""]
)


@pytest.fixture
def venue(instance_config):
    sim = msgspec.structs.replace(instance_config.sim, latency_ms=0.0)
    venue = build(msgspec.structs.replace(instance_config, sim=sim))
    venue.keys = Keys([Key("key", "secret", venue.exchange.accounts[1])])
    return venue


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from([*METHODS, "v2/account.status", "dance"]), params=st.dictionaries(names, plausible | values)
)
def test_the_ws_api_answers_every_signed_request(venue, method, params):
    sent = []
    session = ApiSession(venue, sent.append, True)
    params = params | {"apiKey": "key", "timestamp": venue.now_ms()}
    params["signature"] = signature_of(params)
    session.on_request(msgspec.json.encode({"id": 1, "method": method, "params": params}))
    answer = msgspec.json.decode(sent[0])
    assert answer["id"] == 1
    assert ("result" in answer) == (answer["status"] == 200)
    venue.exchange.limits = Limits()


REST_NAMES = """
symbol pair side type quantity price timeInForce orderId origClientOrderId limit fromId startTime endTime interval
contractType batchOrders orderIdList countdownTime leverage marginType amount algoId clientAlgoId triggerPrice page
algoType callbackRate origClientOrderIdList dualSidePosition positionSide incomeType autoCloseType feeBurn modifyId
newClientOrderId newOrderRespType reduceOnly closePosition goodTillDate priceMatch
"""
REST_VALUES = """
BTCUSDC ETHUSDC BUY SELL LIMIT MARKET TAKE_PROFIT_MARKET TRAILING_STOP_MARKET GTC GTX IOC GTD 1m PERPETUAL true false
CONDITIONAL 0.01 1 64000 100000 -1 0 99999999999999999999 9223372036854775808 1790000000000 [] [1] null [null] ["a"]
[{"symbol":"BTCUSDC"}] [[[]]] [{"symbol":5,"orderId":[]}] ISOLATED BOTH OPPONENT QUEUE_5
"""
rest_names = st.sampled_from(REST_NAMES.split())
rest_values = st.text(max_size=6) | st.sampled_from(REST_VALUES.split())
orders = [
    {},
    {"symbol": "BTCUSDC"},
    {"symbol": "ETHUSDC", "pair": "ETHUSDC", "interval": "1h"},
    {"symbol": "BTCUSDC", "side": "BUY", "type": "MARKET", "quantity": "0.01"},
    {"symbol": "BTCUSDC", "side": "SELL", "type": "STOP_MARKET", "algoType": "CONDITIONAL", "triggerPrice": "100"},
]


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    endpoint=st.sampled_from(sorted(ENDPOINTS)),
    usual=st.sampled_from(orders),
    params=st.dictionaries(rest_names, rest_values, max_size=9),
)
def test_every_rest_endpoint_answers_or_refuses(venue, endpoint, usual, params):
    key = Key("key", "secret", venue.exchange.accounts[1])
    found = ENDPOINTS[endpoint]
    assert found.weight_of(usual | params) >= 0
    try:
        msgspec.json.encode(found.handler(Call(venue, key, usual | params, venue.now_ns())))
    except Refused as refusal:
        assert "{}" not in refusal.message


def signature_of(params: dict) -> str:
    """Sign as the server will read it: numbers as they come out of JSON."""
    read = DECODER.decode(msgspec.json.encode(params))
    return hmac.new(b"secret", payload_of(read), hashlib.sha256).hexdigest()


class FakeSession:
    """Just enough of a stream connection for its control requests."""

    def __init__(self):
        self.streams, self.combined = {}, False
        self.subscribe = self.unsubscribe = lambda streams: None


@given(st.binary(max_size=60) | st.builds(msgspec.json.encode, values))
def test_stream_connections_answer_anything(payload):
    answer = msgspec.json.decode(control.answer(FakeSession(), payload).payload)
    assert ("result" in answer) != ("error" in answer)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "method": st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE", "SET_PROPERTY", "GET_PROPERTY"]) | values,
            "params": values,
            "id": values,
        },
    )
)
def test_control_requests_of_any_shape_are_answered_with_their_id(request_):
    payload = msgspec.json.encode(request_)
    answer = msgspec.json.decode(control.answer(FakeSession(), payload).payload)
    sent = msgspec.json.decode(payload).get("id")
    is_id = isinstance(sent, str) or (type(sent) is int and sent >= 0)
    assert answer["id"] == (sent if is_id else None)
    assert is_id or (sent is None and "id" in request_) or "error" in answer


class FakeVenue:
    """Just enough of a venue for a stream connection."""

    strict_paths = True
    now_ms = staticmethod(lambda: 0)

    def __init__(self):
        self.connections = set()
        self.trouble = Trouble(self)

    class hub:
        subscribe = unsubscribe = staticmethod(lambda stream, connection: None)


@given(st.text(max_size=40))
def test_any_path_is_routed_or_not_found(path):
    try:
        listener = route(FakeVenue(), "/" + path)
    except ValueError as error:  # what urlsplit refuses, the server answers by closing
        assert "IPv6" in str(error) or "netloc" in str(error)
        return
    assert listener is None or isinstance(listener, StreamListener)


@pytest.mark.parametrize("strict", [True, False])
def test_only_a_strict_venue_keeps_streams_to_their_paths(strict):
    venue = FakeVenue()
    venue.strict_paths = strict
    listener = route(venue, "/ws/btcusdc@markPrice")
    assert listener._carries("btcusdc@bookTicker")
    assert listener._carries("btcusdc@markPrice") is not strict
    assert listener._carries("a" * 64) is not strict
