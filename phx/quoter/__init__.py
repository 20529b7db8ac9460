"""The quoter process: one symbol's books into the ladder of quotes it wants."""
