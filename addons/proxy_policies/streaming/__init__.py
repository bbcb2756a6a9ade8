"""Which bodies are streamed, and how all bodies go through their pipelines."""
