"""What the venue tells everybody: books, trades, candles and statistics, in the form of each stream."""
