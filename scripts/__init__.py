"""What is run beside the server: the bench, and a look at what the tests need."""
