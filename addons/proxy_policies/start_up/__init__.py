"""What is looked at once, before anything is served: requirements, options, who else is there."""
