"""ASGI: uvicorn's protocols on our listeners, under our quiesce. Imported by nobody who serves WSGI."""
