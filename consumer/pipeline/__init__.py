"""The pipeline file: typed, located, checked. What the user says, before anything is opened."""
