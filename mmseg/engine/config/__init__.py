"""What happens to a config before its run: options put in, facts handed down, what makes no sense refused."""
