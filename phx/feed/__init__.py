"""The feed process: market streams into shared-memory books."""
