"""The guardian process: the dead man's switch, and cancelling without the others."""
