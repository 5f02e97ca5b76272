"""What claims compare: accuracies, critical eps, or the order of models, one file each."""
