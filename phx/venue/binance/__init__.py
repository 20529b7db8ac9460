"""Binance USDⓈ-M futures: endpoints, REST, streams, order entry, errors."""
