raise ImportError("hidden, so that asyncio serves")
