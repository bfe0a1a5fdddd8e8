"""Who is told, of what, how often: `desk` decides, `post` delivers with patience; each kind of receiver is a file."""
