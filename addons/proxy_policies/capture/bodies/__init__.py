"""The bodies of recorded messages: their content codings, and their content, parsed and addressed by JSONPath."""
