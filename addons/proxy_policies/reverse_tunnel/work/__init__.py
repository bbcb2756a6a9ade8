"""Behind the firewall: dials home, and opens services for its clients."""
