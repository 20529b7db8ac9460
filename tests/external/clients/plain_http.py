"""REST written from the public documentation alone: httpx, and bytes on a socket for what httpx would never send."""

import asyncio
import hashlib
import hmac
import http.client
import json
import socket
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
from judging import Judge, arguments, expect

judge = Judge()


class Venue:
    """A client that signs, and what the steps share."""

    def __init__(self, said: dict):
        self.said, self.symbol = said, said["symbol"]
        self.address = urlsplit(said["rest"])
        self.http = httpx.Client(base_url=said["rest"], headers={"X-MBX-APIKEY": said["key"]}, timeout=10)

    def signature(self, payload: str) -> str:
        return hmac.new(self.said["secret"].encode(), payload.encode(), hashlib.sha256).hexdigest()

    def signed(self, **params) -> str:
        """Return a query that is signed as it stands."""
        text = urlencode(params | {"timestamp": int(time.time() * 1000), "recvWindow": 5000})
        return f"{text}&signature={self.signature(text)}"

    def ask(self, method: str, path: str, **params):
        return self.http.request(method, f"{path}?{self.signed(**params)}")

    def order(self, share: float = 0.97, **wanted) -> dict:
        """Return the parameters of an order that rests."""
        bid = float(self.http.get("/fapi/v1/ticker/bookTicker", params={"symbol": self.symbol}).json()["bidPrice"])
        return {
            "symbol": self.symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.01",
            "price": f"{bid * share:.1f}",
        } | wanted

    def raw(self, sent: bytes, answers: int = 1, pause_s: float = 0.0) -> list:
        """Send bytes, in two parts when there is a pause, and read this many answers: (status, headers, body)."""
        with socket.create_connection((self.address.hostname, self.address.port), timeout=10) as connection:
            half = len(sent) // 2 if pause_s else len(sent)
            connection.sendall(sent[:half])
            if pause_s:
                time.sleep(pause_s)
                connection.sendall(sent[half:])
            reader = connection.makefile("rb")
            return [read_answer(reader) for _ in range(answers)]


def read_answer(reader) -> tuple[int, dict, bytes]:
    status = int(reader.readline().split()[1])
    headers = {k.lower(): v for k, v in http.client.parse_headers(reader).items()}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        body = reader.read(int(headers["content-length"])) if "content-length" in headers else b""
    return status, headers, body


def refused(answer, code: int, status: int = 400):
    expect(answer.status_code == status and answer.json()["code"] == code, (answer.status_code, answer.text))
    expect(list(answer.json()) == ["code", "msg"], answer.text)


@judge.step
def methods_and_paths(venue):
    http, symbol = venue.http, venue.symbol
    expect(http.get("/fapi/v1/ping").text == "{}", "an empty object")
    head = http.head("/fapi/v1/time")
    expect(head.status_code == 200 and not head.content and int(head.headers["content-length"]) > 0, head.headers)
    expect(http.options("/fapi/v1/order").status_code in (200, 204), "OPTIONS")
    expect(http.get("/fapi/v1/listenKey").status_code == 404, "GET of a listen key")
    for path in ("/fapi/v1/nowhere", "/", "/fapi", "/fapi/v9/time", "/FAPI/v1/time", "/fapi/v1/time/", "/%66api"):
        expect(http.get(path).status_code == 404, path)
    expect(http.get("/fapi/v1/depth", params={"symbol": symbol, "limit": 5, "of": "no interest"}).is_success, "extras")
    for header in ("content-type", "date", "x-mbx-used-weight-1m"):
        expect(header in http.get("/fapi/v1/time").headers, header)
    expect(http.get("/fapi/v1/time").headers["content-type"].startswith("application/json"), "JSON")


@judge.step
def parameters_have_their_exact_form(venue):
    http, symbol = venue.http, venue.symbol
    refused(http.get("/fapi/v1/depth", params={"symbol": symbol.lower()}), -1121)
    refused(http.get("/fapi/v1/depth", params={"SYMBOL": symbol}), -1102)
    refused(http.get("/fapi/v1/depth", params={"symbol": "比特币USDT"}), -1121)
    refused(http.get("/fapi/v1/depth"), -1102)
    refused(http.get("/fapi/v1/depth", params={"symbol": symbol, "limit": "3"}), -4021)
    refused(http.get("/fapi/v1/depth", params={"symbol": symbol, "limit": "1500"}), -1130)
    refused(http.get("/fapi/v1/depth", params={"symbol": symbol, "limit": "ten"}), -1130)
    refused(http.get(f"/fapi/v1/depth?symbol={symbol}&symbol={symbol}"), -1101)
    refused(http.get("/fapi/v1/klines", params={"symbol": symbol, "interval": "1s"}), -1120)
    refused(http.get("/fapi/v1/klines", params={"symbol": symbol, "interval": "1m", "limit": 2000}), -1130)
    encoded = "".join(f"%{ord(letter):02x}" for letter in symbol)
    expect(http.get(f"/fapi/v1/depth?s%79mbol={encoded}&limit=%35").is_success, "percent-encoding in small letters")
    for limit in (5, 10, 20, 50, 100, 500, 1000):
        expect(http.get("/fapi/v1/depth", params={"symbol": symbol, "limit": limit}).is_success, limit)


@judge.step
def parameters_in_query_and_body(venue):
    http, wanted = venue.http, venue.order()
    wanted |= {"timestamp": int(time.time() * 1000), "recvWindow": 5000}
    names = list(wanted)
    query, body = (urlencode({k: wanted[k] for k in part}) for part in (names[:4], names[4:]))
    signature = venue.signature(query + body)  # nothing stands between them
    placed = []
    for target, content, headers in (
        (f"?{query}&signature={signature}", body, {}),
        (f"?{query}", f"{body}&signature={signature}", {}),
        (f"?{query}", f"{body}&signature={signature.upper()}", {"Content-Type": "application/x-www-form-urlencoded"}),
        (f"?{query}", f"{body}&signature={signature}", {"Content-Type": "application/json"}),
    ):
        answer = http.post(f"/fapi/v1/order{target}", content=content, headers=headers)
        expect(answer.is_success, answer.text)
        placed.append(answer.json()["orderId"])
    whole = urlencode(wanted)
    refused(http.post(f"/fapi/v1/order?{query}&{body}&signature={'0' * 64}"), -1022)
    refused(http.post(f"/fapi/v1/order?{whole}"), -1102)
    # The query wins where both name a parameter.
    fields = {k: v for k, v in wanted.items() if k != "quantity"}
    query, body = urlencode(fields | {"quantity": "0.02"}), "quantity=0.03"
    answer = http.post(f"/fapi/v1/order?{query}&signature={venue.signature(query + body)}", content=body)
    expect(answer.is_success and answer.json()["origQty"] == "0.020", answer.text)
    placed.append(answer.json()["orderId"])
    for number in placed:
        gone = venue.ask("DELETE", "/fapi/v1/order", symbol=venue.symbol, orderId=number)
        expect(gone.json()["status"] == "CANCELED", gone.text)


@judge.step
def keys_signatures_and_time(venue):
    http, path = venue.http, "/fapi/v3/balance"
    bare = httpx.Client(base_url=venue.said["rest"])
    refused(bare.get(f"{path}?{venue.signed()}"), -2014, 401)
    refused(bare.get("/fapi/v1/historicalTrades", params={"symbol": venue.symbol}), -2014, 401)
    refused(bare.get(f"{path}?{venue.signed()}", headers={"X-MBX-APIKEY": "x" * 64}), -2015, 401)
    lower = bare.get(f"{path}?{venue.signed()}", headers={"x-mbx-apikey": venue.said["key"]})
    expect(lower.is_success, lower.text)
    now_ms = int(time.time() * 1000)
    for offset_ms, window, code in ((-9000, 5000, -1021), (5000, 5000, -1021), (-3000, 5000, 0), (500, 5000, 0)):
        text = f"timestamp={now_ms + offset_ms}&recvWindow={window}"
        answer = http.get(f"{path}?{text}&signature={venue.signature(text)}")
        expect(answer.is_success if code == 0 else answer.json()["code"] == code, (offset_ms, answer.text))
    text = f"timestamp={now_ms * 1000}"  # microseconds are for Spot
    refused(http.get(f"{path}?{text}&signature={venue.signature(text)}"), -1021)
    refused(http.get(f"{path}?signature={venue.signature('')}"), -1102)
    # Signed before or after percent-encoding: clients disagree.
    batch = json.dumps([venue.order(newClientOrderId=f"judge-plain-{n}") for n in range(2)])
    for spoken in (f"batchOrders={batch}", f"batchOrders={quote(batch)}"):
        spoken += f"&timestamp={int(time.time() * 1000)}"
        sent = spoken if "%" in spoken else urlencode(dict(part.split("=", 1) for part in spoken.split("&")))
        rows = http.post(f"/fapi/v1/batchOrders?{sent}&signature={venue.signature(spoken)}").json()
        expect(len(rows) == 2 and all("orderId" in row for row in rows), rows)
        gone = venue.ask("DELETE", "/fapi/v1/allOpenOrders", symbol=venue.symbol).json()
        expect(gone == {"code": 200, "msg": "The operation of cancel all open order is done."}, gone)


@judge.step
def bytes_on_a_socket(venue):
    host, symbol = venue.address.netloc, venue.symbol
    old = b"GET /fapi/v1/time HTTP/1.0\r\n\r\n"
    status, headers, body = venue.raw(old)[0]
    expect(status == 200 and b"serverTime" in body, (status, headers, body))
    closed = f"GET /fapi/v1/ping HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    expect(venue.raw(closed)[0][1].get("connection") == "close", "the connection's end")
    one = f"GET /fapi/v1/depth?symbol={symbol}&limit=5 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    piped = venue.raw(one * 5, answers=5)
    expect([status for status, _, _ in piped] == [200] * 5, piped)
    expect(all(len(json.loads(body)["asks"]) == 5 for _, _, body in piped), piped)
    expect(venue.raw(one, pause_s=0.3)[0][0] == 200, "a request in two parts")
    bare = one.replace(b"\r\n", b"\n")
    expect(venue.raw(bare)[0][0] in (200, 400), "lines without carriage returns")
    absolute = f"GET http://{host}/fapi/v1/time HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    expect(venue.raw(absolute)[0][0] == 200, "a target with the host, as proxies ask")
    fragment = f"GET /fapi/v1/time?a=%ff%fe&b=%zz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    expect(venue.raw(fragment)[0][0] == 200, "what is not UTF-8, in a parameter of no interest")


@judge.step
def bodies_in_every_form(venue):
    host, key = venue.address.netloc, venue.said["key"]

    def post(headers: str, body: bytes, answers: int = 1):
        head = f"POST /fapi/v1/order HTTP/1.1\r\nHost: {host}\r\nX-MBX-APIKEY: {key}\r\n{headers}\r\n\r\n"
        return venue.raw(head.encode() + body, answers)

    def signed() -> bytes:
        return venue.signed(**venue.order()).encode()

    body = signed()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:40], body[40:]))
    status, _, answer = post("Transfer-Encoding: chunked", pieces + b"0\r\n\r\n")[0]
    expect(status == 200 and json.loads(answer)["status"] == "NEW", answer)
    body = signed()
    first, second = post(f"Content-Length: {len(body)}\r\nExpect: 100-continue", body, answers=2)
    expect(first[0] == 100 and second[0] == 200, (first, second))
    body = signed()
    status, _, answer = post(f"Content-Length: {len(body)}\r\nContent-Type: text/plain; charset=utf-16", body)[0]
    expect(status == 200, answer)
    status, _, answer = post("Content-Length: 0", b"")[0]
    expect(status == 400 and json.loads(answer)["code"] == -1102, answer)
    expect(venue.ask("DELETE", "/fapi/v1/allOpenOrders", symbol=venue.symbol).is_success, "all cancelled")


@judge.step
def compression_and_a_slow_reader(venue):
    plain = venue.http.get("/fapi/v1/exchangeInfo", headers={"Accept-Encoding": "identity"})
    expect("content-encoding" not in plain.headers, plain.headers)
    expect(any(row["symbol"] == venue.symbol for row in plain.json()["symbols"]), "the symbol")
    host = venue.address.netloc
    head = f"GET /fapi/v1/depth?symbol={venue.symbol}&limit=1000 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with socket.create_connection((venue.address.hostname, venue.address.port), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head * 8)
        time.sleep(1)  # nothing is read, and others are served
        expect(venue.http.get("/fapi/v1/time").is_success, "the time")
        reader = connection.makefile("rb")
        answers = [read_answer(reader) for _ in range(8)]
    expect(all(len(json.loads(body)["bids"]) > 100 for _, _, body in answers), [len(a[2]) for a in answers])


@judge.step
async def fifty_connections_at_once(venue):
    async def one(client, n):
        return (await client.get("/fapi/v1/time", headers={"Connection": "close"} if n % 2 else {})).status_code

    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=venue.said["rest"], limits=limits, timeout=20) as client:
        found = await asyncio.gather(*(one(client, n) for n in range(100)))
    expect(found == [200] * 100, found)


@judge.step
def leave_nothing_behind(venue):
    venue.ask("DELETE", "/fapi/v1/allOpenOrders", symbol=venue.symbol)
    expect(venue.ask("GET", "/fapi/v1/openOrders", symbol=venue.symbol).json() == [], "no open order")


if __name__ == "__main__":
    asyncio.run(judge.run(Venue(arguments())))
