"""Running a command or a test session through a proxy process."""
