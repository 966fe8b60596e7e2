"""What engines on other servers have in common: calls, their errors, limits and retries."""
