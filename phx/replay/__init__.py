"""Recordings played through the live code: check, and later backtest."""
