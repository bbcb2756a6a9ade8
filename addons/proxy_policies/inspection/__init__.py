"""Which hosts' TLS is opened: those the user lists, and no other."""
