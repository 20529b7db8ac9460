"""The gateway process: makes the orders at the venue equal what is wanted."""
