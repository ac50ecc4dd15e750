"""The vocabulary: values and the one table of options. Nothing here does I/O or imports anything else of ours."""
