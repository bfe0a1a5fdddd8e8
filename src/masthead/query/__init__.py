"""Questions about what was logged."""
