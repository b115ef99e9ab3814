"""The API as `sam local` runs it: the built artifacts, each function in a container of Lambda's own image."""
