"""Questions in, answers out: an API and a worker around one table."""
