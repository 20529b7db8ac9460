"""phx: a low-latency market maker for Binance USDC-margined perpetual futures."""
