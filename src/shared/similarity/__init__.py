"""Exact similarity search, its snapshots in S3 and the matrix of nearest neighbours."""
