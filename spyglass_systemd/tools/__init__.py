"""What an operator's commands do: they write files, ask systemd, and look; they run no app."""
