"""The compiled core: pure, without I/O, clocks or randomness (its edge/ corner excepted)."""
