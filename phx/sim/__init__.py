"""The simulated venue: Binance's own protocol on loopback."""
