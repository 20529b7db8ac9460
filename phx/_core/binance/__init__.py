"""The pure half of the venue: decode its messages, encode and sign orders."""
