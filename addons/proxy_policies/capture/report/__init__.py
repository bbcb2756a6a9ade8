"""Reports of a check: for the terminal, for CI (JUnit), for programs (JSON) and for people (a page)."""
