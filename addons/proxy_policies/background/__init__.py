"""Work beside the event loop's current step: tasks, and a thread with a bounded queue."""
