//! The host's side of a connection: the real `Look` and `Touch`, facts, and the loop that serves requests.
