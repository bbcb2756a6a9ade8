"""A store in a folder, shared by the processes of this machine."""
