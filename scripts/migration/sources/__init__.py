"""Where rows come from: one module for each kind of database or file, all alike as `source.Source`."""
