"""One way to serve per kind of app, siblings of one shape: `serve(listeners, app, gate, settings)`."""
