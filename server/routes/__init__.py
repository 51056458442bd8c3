"""The gateway's routes, a file for each part of the HTTP API; each has `add(app, services)`."""
