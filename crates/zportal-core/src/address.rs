//! Where a stream can go: TCP host and port, a Unix socket's path, or an abstract Unix name.
