"""Learn from feedback."""
