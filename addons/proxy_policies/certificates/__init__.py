"""The certificate authority that opens inspected hosts: made, trusted, tried and taken back."""
