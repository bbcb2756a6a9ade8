"""Several processes on one port: the supervisor, and what each of them knows of itself."""
