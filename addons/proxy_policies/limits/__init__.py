"""How much one client may have: connections, requests, time, and frames that carry nothing."""
