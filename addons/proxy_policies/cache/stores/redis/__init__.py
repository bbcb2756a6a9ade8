"""A store on a Redis or Valkey server, shared by many machines."""
