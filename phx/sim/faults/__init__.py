"""What can go wrong at a venue and on the way to it, by name: requests, user events, frames, connections, keys."""
