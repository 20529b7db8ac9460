"""Control requests on stream connections: the venue's answers to the letter, ids as they came."""

import pytest

from phx.sim.api import control
from phx.sim.api.control import MAX_STREAMS

NAMES = "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"


class Session:
    def __init__(self):
        self.combined = False
        self.streams = {}

    def subscribe(self, streams):
        self.streams |= dict.fromkeys(streams)

    def unsubscribe(self, streams):
        for stream in streams:
            self.streams.pop(stream, None)


def ask(text: str, session=None) -> str:
    return control.answer(session or Session(), text.encode()).payload.decode()


def test_streams_are_subscribed_listed_and_left_and_unknown_ones_acknowledged():
    session = Session()
    two = '"params":["btcusdc@bookTicker","nothing@at_all"]'
    assert ask(f'{{"method":"SUBSCRIBE",{two},"id":1}}', session) == '{"result":null,"id":1}'
    listed = ask('{"method":"LIST_SUBSCRIPTIONS","id":3}', session)
    assert listed == '{"result":["btcusdc@bookTicker","nothing@at_all"],"id":3}'
    assert ask('{"method":"UNSUBSCRIBE","params":["nothing@at_all","never"],"id":4}', session) == (
        '{"result":null,"id":4}'
    )
    assert list(session.streams) == ["btcusdc@bookTicker"]


@pytest.mark.parametrize("number", ["1", "0", "18446744073709551615", '"1"', '"a-b"', '""', "null"])
def test_ids_are_echoed_as_they_came(number):
    assert ask(f'{{"method":"SUBSCRIBE","params":[],"id":{number}}}') == f'{{"result":null,"id":{number}}}'


@pytest.mark.parametrize("number", ['"id":-1', '"id":1.5', '"id":true', '"id":[1]', '"id":{}', '"other":1'])
def test_an_id_must_be_there_and_of_its_kind(number):
    assert ask(f'{{"method":"SUBSCRIBE","params":[],{number}}}') == (
        '{"error":{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"},"id":null}'
    )


def test_the_property_tells_and_sets_whether_frames_name_their_stream():
    session = Session()
    assert ask('{"method":"GET_PROPERTY","params":["combined"],"id":2}', session) == '{"result":false,"id":2}'
    assert ask('{"method":"SET_PROPERTY","params":["combined",true],"id":5}', session) == '{"result":null,"id":5}'
    assert session.combined is True
    assert ask('{"method":"GET_PROPERTY","params":["combined"],"id":2}', session) == '{"result":true,"id":2}'


# The texts are those of the venue's table of errors; the first was also seen on the wire, as written here.
@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        ('"method":"NOT_A_METHOD"', 2, f"Invalid request: unknown variant `NOT_A_METHOD`, expected one of {NAMES}"),
        ('"method":7', 2, f"Invalid request: unknown variant `7`, expected one of {NAMES}"),
        ('"params":[]', 2, "Invalid request: missing field `method`"),
        ('"method":"GET_PROPERTY","params":["color"]', 0, "Unknown property"),
        ('"method":"SET_PROPERTY","params":["color",true]', 0, "Unknown property"),
        ('"method":"SET_PROPERTY","params":["combined",1]', 1, "Invalid value type: expected Boolean"),
        ('"method":"SET_PROPERTY","params":["combined"]', 1, "Invalid value type: expected Boolean"),
        ('"method":"GET_PROPERTY"', 2, "Invalid request: property name must be a string"),
        ('"method":"GET_PROPERTY","params":[7]', 2, "Invalid request: property name must be a string"),
        ('"method":"GET_PROPERTY","params":["combined",true]', 2, "Invalid request: too many parameters"),
        ('"method":"SET_PROPERTY","params":["combined",true,1]', 2, "Invalid request: too many parameters"),
        ('"method":"SUBSCRIBE","params":[7]', 2, "Invalid request: invalid stream"),
        ('"method":"LIST_SUBSCRIPTIONS","params":["x"]', 2, "Invalid request: too many parameters"),
    ],
)
def test_refusals_are_worded_as_the_venues(request_, code, text):
    assert ask(f'{{{request_},"id":4}}') == f'{{"error":{{"code":{code},"msg":"{text}"}},"id":4}}'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("hello", "expected value at line 1 column 1"),
        ('{"method":x}', "expected value at line 1 column 11"),
        ('{\n"method":\n  x}', "expected value at line 3 column 3"),
        ("", "EOF while parsing a value at line 1 column 0"),
        ('{"method":', "EOF while parsing a value at line 1 column 10"),
    ],
)
def test_what_is_not_json_is_told_where_and_ends_the_connection(text, what):
    answer = control.answer(Session(), text.encode())
    assert answer.payload.decode() == f'{{"error":{{"code":3,"msg":"Invalid JSON: {what}"}}}}'
    assert answer.is_last


def test_nesting_without_end_is_refused_like_other_nonsense():
    assert '"code":3' in ask("[" * 60_000)
    assert '"code":2' in ask('{"method":"SUBSCRIBE","params":' + "[" * 200 + "]" * 200 + ',"id":1}')


def test_only_so_many_streams_go_on_one_connection():
    session = Session()
    names = ",".join(f'"s{n}@trade"' for n in range(MAX_STREAMS))
    assert ask(f'{{"method":"SUBSCRIBE","params":[{names}],"id":1}}', session) == '{"result":null,"id":1}'
    again = ask('{"method":"SUBSCRIBE","params":["s0@trade"],"id":2}', session)
    assert again == '{"result":null,"id":2}'
    one_more = ask('{"method":"SUBSCRIBE","params":["more@trade"],"id":3}', session)
    assert one_more == '{"error":{"code":4,"msg":"Too many subscriptions"},"id":3}'
    assert len(session.streams) == MAX_STREAMS
    assert control.answer(session, b'{"method":"SUBSCRIBE","params":["more@trade"],"id":3}').is_last
    assert not control.answer(session, b'{"method":"DANCE","id":3}').is_last
