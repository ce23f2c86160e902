"""The product: pure logic, to which time, randomness and hardware are passed in."""
