"""A small stand-in for miStudio's API, worker and scheduler."""
