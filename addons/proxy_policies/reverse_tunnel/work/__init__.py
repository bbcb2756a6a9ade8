"""The tunnel's end behind the firewall: connects to home, and opens services for its clients."""
