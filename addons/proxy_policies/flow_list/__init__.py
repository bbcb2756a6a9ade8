"""The list of flows that mitmweb and the console show: its columns, and how long it may get."""
