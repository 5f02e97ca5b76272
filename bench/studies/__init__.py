"""Published studies, a folder each: the suite, the published figures, and how its report says them."""
