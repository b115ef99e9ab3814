"""What is deployed, as SAM builds it: the programs that this takes, the artifacts that come out, and their digest."""
