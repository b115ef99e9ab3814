"""The laptop stack: an embedded store, demo users and an HTTP gateway around the handlers. Never shipped to Lambda."""
