"""What is known of methods: their stability limits, and their modified equations."""
