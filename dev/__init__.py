"""What developers run: the demonstration; packages, environment and checks are scripts beside it."""
