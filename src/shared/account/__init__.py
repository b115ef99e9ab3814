"""What concerns a whole account: its erasure, and the copy of everything that it owns."""
