"""The lab: namespaces, peers, captures and the daemon under test."""
