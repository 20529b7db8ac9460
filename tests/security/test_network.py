"""S11, S12: who is at the other end is proven, no signed request is sent on, no answer is taken without bound."""

import asyncio
import contextlib
import datetime
import gc
import ipaddress
import re
import ssl
import threading
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from stub_venue import Reply, StubVenue

import phx
from phx.process import StayDown
from phx.venue.binance import http, websocket
from phx.venue.binance.endpoints import Endpoints, endpoints
from phx.venue.binance.keys import Credentials
from phx.venue.binance.rest import Rest
from phx.venue.binance.user_stream import BinanceUserStream
from phx.venue.interface import VenueDown, VenueError, VenueUnknown

SOURCES = Path(phx.__file__).parent
OPEN_ORDERS = ("GET", "/fapi/v1/openOrders")


def rest(url: str) -> Rest:
    return Rest(Endpoints("sim", url, "", ""), Credentials("key", b"secret"), share=1.0, timeout_s=2.0)


def certificate(folder: Path, names: list[str]) -> tuple[Path, Path]:
    """Return the files of a certificate that nobody has signed but itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [x509.DNSName(n) for n in names] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, secret


class Impostor:
    """A venue over TLS that no authority knows: counts what it was asked."""

    def __init__(self, folder: Path, oldest=None):
        self.asked = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate(folder, ["localhost"]))
        if oldest is not None:
            self.context.minimum_version = self.context.maximum_version = oldest

    async def __aenter__(self) -> "Impostor":
        async def answer(request):
            self.asked += 1
            return web.json_response({"serverTime": 1})

        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", answer)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()


async def test_s11_a_certificate_that_nobody_signed_is_refused(tmp_path):
    async with Impostor(tmp_path) as impostor:
        client = rest(f"https://127.0.0.1:{impostor.port}")
        with pytest.raises(VenueDown, match="ClientConnectorCertificateError"):
            await client.server_time()
        with pytest.raises(VenueDown):
            await client.open_orders("BTCUSDC")
        await client.close()
        assert impostor.asked == 0


async def test_s11_with_the_certificate_trusted_it_is_asked(tmp_path, monkeypatch):
    """The refusal above is about trust, not about the server of this test."""
    async with Impostor(tmp_path) as impostor:
        usual = ssl.create_default_context
        monkeypatch.setattr(http.ssl, "create_default_context", lambda: usual(cafile=str(tmp_path / "chain.pem")))
        client = rest(f"https://127.0.0.1:{impostor.port}")
        assert await client.server_time() == 1_000_000
        await client.close()
        # And the name must fit: this certificate is localhost's and 127.0.0.1's, not that of another.
        monkeypatch.setattr(http.aiohttp, "TCPConnector", resolving_to_loopback(http.aiohttp.TCPConnector))
        client = rest(f"https://fapi.binance.example:{impostor.port}")
        with pytest.raises(VenueDown, match="Certificate"):
            await client.server_time()
        await client.close()


def resolving_to_loopback(connector):
    class Resolver:
        async def resolve(self, host, port=0, family=0):
            return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

        async def close(self): ...

    return lambda **options: connector(**options, resolver=Resolver())


async def test_s11_the_account_s_stream_is_not_read_from_an_impostor(tmp_path):
    with StubVenue() as venue:
        async with Impostor(tmp_path) as impostor:
            client = rest(venue.url)
            where = Endpoints("sim", venue.url, f"wss://127.0.0.1:{impostor.port}", "")
            events = []
            stream = BinanceUserStream(client, where, lambda *event: events.append(event), lambda up: events.append(up))
            with pytest.raises(ssl.SSLCertVerificationError):
                await stream._connect()
            assert impostor.asked == 0 and events == []
            await client.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_s11_no_redirect_is_followed(status):
    with StubVenue() as venue, StubVenue() as thief:
        elsewhere = {"Location": f"{thief.url}/fapi/v1/openOrders"}
        for call in (OPEN_ORDERS, ("DELETE", "/fapi/v1/allOpenOrders"), ("POST", "/fapi/v1/order")):
            venue.script[call] = [Reply("moved", status, elsewhere)] * 4
        client = rest(venue.url)
        with pytest.raises(VenueDown):
            await client.open_orders("BTCUSDC")
        with pytest.raises(VenueUnknown):
            await client.cancel_all("BTCUSDC")
        with pytest.raises(VenueUnknown):
            await client.place("BTCUSDC", "phxs-1", 1, "1", "1")
        await client.close()
        assert thief.calls == [] and len(venue.calls) >= 3


def test_s11_proxies_of_the_environment_are_not_asked(monkeypatch):
    with StubVenue() as venue, StubVenue() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)

        async def once():
            client = rest(venue.url)
            await client.server_time()
            await client.close()

        asyncio.run(once())
        assert proxy.calls == [] and len(venue.calls) == 1


def test_s11_nothing_in_the_sources_turns_verification_off():
    off = re.compile(r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False|ssl\s*=\s*False|_create_unverified")
    for path in SOURCES.rglob("*.py*"):
        if path.suffix in (".py", ".pyx"):
            assert not off.search(path.read_text()), path


@pytest.mark.parametrize("environment", ["testnet", "production"])
@pytest.mark.parametrize(
    "url", ["http://fapi.binance.com", "https://fapi.binance.com.evil.example", "https://127.0.0.1", "https://u:p@fapi.binance.com"]
)  # fmt: skip
def test_s11_s14_a_key_is_shown_to_listed_hosts_only(instance_config, environment, url):
    confirm = {"testnet": "testnet", "production": f"I trade real money on {instance_config.global_.instance}"}
    venue = msgspec.structs.replace(
        instance_config.venue, environment=environment, confirm=confirm[environment], rest_url=url
    )
    with pytest.raises(StayDown, match=r"venue\.rest_url"):
        endpoints(msgspec.structs.replace(instance_config, venue=venue))


# ---- S12 ----


async def test_s12_an_endless_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr(http, "LARGEST_ANSWER_BYTES", 100_000)
    with StubVenue() as venue:
        venue.script[OPEN_ORDERS] = [Reply("[" + "0," * 100_000 + "0]")] * http.QUESTION_ATTEMPTS
        client = rest(venue.url)
        with pytest.raises(VenueDown, match="ValueError"):
            await client.open_orders("BTCUSDC")
        await client.close()


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 50_000, "\x00" * 1000, "[NaN]", '[{"symbol":1}]', '"' + "\\ud800" * 100 + '"', ""]
)
async def test_s12_hostile_json_is_an_answer_that_cannot_be_read(body):
    with StubVenue() as venue:
        venue.script[OPEN_ORDERS] = [Reply(body)] * http.QUESTION_ATTEMPTS
        client = rest(venue.url)
        with pytest.raises(VenueError):
            await client.open_orders("BTCUSDC")
        await client.close()


def test_s12_every_stream_has_a_largest_frame_and_follows_no_redirect():
    text = (SOURCES / "venue/binance/websocket.py").read_text()
    assert text.count("max_frame_size=LARGEST_FRAME_BYTES") == text.count("max_redirects=0") == 1
    assert websocket.LARGEST_FRAME_BYTES == 2**20
    live = [path for path in SOURCES.rglob("*.py") if "sim" not in path.relative_to(SOURCES).parts]
    assert [path.name for path in live if "ws_connect(" in path.read_text()] == ["websocket.py"]


def test_s12_a_frame_beyond_the_limit_ends_the_connection():
    """The account's stream, from a server that sends a frame of 2 MiB and claims another without an end."""
    received = threading.Event()

    async def scene(venue):
        async def flood(reader, writer):
            with contextlib.suppress(ConnectionError):
                request = await reader.readuntil(b"\r\n\r\n")
                key = re.search(rb"Sec-WebSocket-Key: (\S+)", request)[1]
                writer.write(handshake(key))
                writer.write(b"\x81\x7f" + (2 * 2**20).to_bytes(8, "big") + b"x" * (2 * 2**20))
                await writer.drain()
                received.set()
            writer.close()

        server = await asyncio.start_server(flood, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client, events, unheard = rest(venue.url), [], []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context["message"]))
        where = Endpoints("sim", venue.url, f"ws://127.0.0.1:{port}", "")
        stream = BinanceUserStream(client, where, lambda *event: events.append(event), lambda up: None)
        listener = await stream._connect()
        await asyncio.wait_for(listener.ended.wait(), 10)
        await client.close()
        server.close()
        await asyncio.sleep(0.1)
        del stream, listener
        gc.collect()  # an error that nobody took is reported when it is thrown away
        assert unheard == []
        return events

    with StubVenue() as venue:
        assert asyncio.run(scene(venue)) == []


def handshake(key: bytes) -> bytes:
    import base64
    import hashlib

    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    lines = (b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade")
    return b"\r\n".join((*lines, b"Sec-WebSocket-Accept: " + accept, b"", b""))
