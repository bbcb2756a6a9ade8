"""What the tests run against: real processes and real servers on loopback."""
