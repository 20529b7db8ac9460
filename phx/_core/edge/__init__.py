"""The only impure corner of the core: sockets, waits and the clock."""
