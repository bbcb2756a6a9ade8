"""The proxy as a service of systemd: its units, and what it says to systemd."""
