"""A shared HTTP cache: what RFC 9111 says (rfc9111/), where responses are kept (stores/), and how flows meet both."""
