"""Reports of a check: text for a terminal, JUnit XML for CI, JSON for programs, Markdown and HTML for people."""
