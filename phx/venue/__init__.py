"""What phx needs of a venue, and the venues it knows."""
