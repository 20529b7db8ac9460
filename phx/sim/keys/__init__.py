"""Who may ask: API keys and their signatures, and the keys of private streams."""
