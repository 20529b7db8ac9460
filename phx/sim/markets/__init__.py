"""What is traded: recorded markets with accounts' orders laid over them, and synthetic ones that agents make."""
