"""What is prepared before a centre runs: certificates, secrets, the broker's rights."""
