"""What a person reads of a tuned encoder."""
