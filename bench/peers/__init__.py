"""Other ways to put a model's predictions on a topic's events, each as its own documentation has it."""
