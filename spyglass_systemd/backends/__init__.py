"""One way to serve per kind of app, siblings of one shape: `serve(leads, gate, settings)`."""
