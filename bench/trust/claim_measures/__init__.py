"""What claims compare: accuracies, critical eps, or how models are ordered, a file each."""
