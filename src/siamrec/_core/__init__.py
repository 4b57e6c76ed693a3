"""Small parts without a domain: checks, hashing, time and lazy imports."""
