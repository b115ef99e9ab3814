"""Reports as files, one module a format, each of which loads its library when it is asked for."""
