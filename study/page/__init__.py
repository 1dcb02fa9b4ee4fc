"""The study as one offline page: draw a digit, and all models answer."""
