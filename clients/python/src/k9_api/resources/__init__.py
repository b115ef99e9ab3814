"""The methods of the client, by subject. Each is written once, as a plan, for both surfaces."""
