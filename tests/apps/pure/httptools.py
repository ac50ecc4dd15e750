raise ImportError("hidden, so that h11 serves")
