"""A shared HTTP cache: the rules of RFC 9111 (rfc9111/), the stores (stores/), and modules that apply both to flows."""
