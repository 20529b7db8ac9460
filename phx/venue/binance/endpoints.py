"""Where Binance is, per environment, and what must be said before phx goes there.

Only listed hosts are ever contacted with a key (and the venue's main host, asked what the key may do); unencrypted
connections exist on loopback, to the simulated venue, and nowhere else. Everything but the simulator wants
`venue.confirm`, so that no copied file trades by accident.
"""

from urllib.parse import urlsplit

from msgspec import Struct

from phx.process import StayDown


class Endpoints(Struct, frozen=True):
    """Base URLs without a trailing slash. stream: /public, /market and /private hang under it."""

    environment: str  # sim, testnet, production
    rest: str
    stream: str
    ws_api: str
    account_api: str = ""  # where the permissions of a key can be read; "" = nowhere: testnet and simulator have none

    @property
    def coid_letter(self) -> str:
        """The environment's letter in client order ids, so that an order says where it was meant to go."""
        return self.environment[0]

    @property
    def coid_prefix(self) -> str:
        """What every client order id of ours begins with."""
        return f"phx{self.coid_letter}-"


TESTNET = Endpoints(
    environment="testnet",
    rest="https://demo-fapi.binance.com",
    stream="wss://demo-fstream.binance.com",
    ws_api="wss://testnet.binancefuture.com/ws-fapi/v1",
)
PRODUCTION = Endpoints(
    environment="production",
    rest="https://fapi.binance.com",
    stream="wss://fstream.binance.com",
    ws_api="wss://ws-fapi.binance.com/ws-fapi/v1",
    account_api="https://api.binance.com",
)

LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
HOSTS = {
    "sim": LOOPBACK,
    "testnet": frozenset(
        (
            "demo-fapi.binance.com",
            "demo-fstream.binance.com",
            "testnet.binancefuture.com",
            "fstream.binancefuture.com",
            "stream.binancefuture.com",
        )
    ),
    "production": frozenset(
        (
            "fapi.binance.com",
            "fstream.binance.com",
            "ws-fapi.binance.com",
            "fapi-mm.binance.com",
            "fstream-mm.binance.com",
            "fstream-auth.binance.com",
        )
    ),
}
SCHEMES = {"rest": ("https", "http"), "stream": ("wss", "ws"), "ws_api": ("wss", "ws")}  # encrypted, plain


def sim(config) -> Endpoints:
    """Return where the simulated venue listens: REST on its port, WebSockets on the next."""
    if config.sim is None:
        raise StayDown("venue.environment is sim but there is no section sim; add one or choose another environment")
    websockets = f"ws://127.0.0.1:{config.sim.port + 1}"
    return Endpoints("sim", f"http://127.0.0.1:{config.sim.port}", websockets, f"{websockets}/ws-fapi/v1")


def endpoints(config) -> Endpoints:
    """Return the base URLs of the configured venue. Raises StayDown when they may not be used."""
    venue = config.venue
    wanted = config.confirmation()
    if wanted and venue.confirm != wanted:
        raise StayDown(f'venue.confirm is "{venue.confirm}"; to use {venue.environment} write "{wanted}" there')
    base = {"sim": sim, "testnet": lambda _: TESTNET, "production": lambda _: PRODUCTION}[venue.environment](config)
    chosen = Endpoints(
        environment=venue.environment,
        rest=(venue.rest_url or base.rest).rstrip("/"),
        stream=(venue.stream_url or base.stream).rstrip("/"),
        ws_api=(venue.ws_api_url or base.ws_api).rstrip("/"),
        account_api=base.account_api,
    )
    for name, schemes in SCHEMES.items():
        check_url(f"venue.{name}_url", getattr(chosen, name), chosen.environment, schemes)
    return chosen


def check_url(name: str, url: str, environment: str, schemes: tuple[str, str]) -> None:
    """Refuse a URL whose host is not listed for the environment, or that is unencrypted off loopback."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise StayDown(f"{name}: {error}") from None
    if host not in HOSTS[environment]:
        raise StayDown(f'{name}: host "{host}" is not one of {environment}: {", ".join(sorted(HOSTS[environment]))}')
    encrypted, plain = schemes
    allowed = (encrypted, plain) if environment == "sim" else (encrypted,)
    if parts.scheme not in allowed:
        raise StayDown(f'{name}: scheme "{parts.scheme}", expected {" or ".join(allowed)}')
    if environment != "sim" and port not in (None, 443):
        raise StayDown(f"{name}: port {port}, expected 443")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise StayDown(f"{name}: give scheme, host and path only")
