"""Per chapter: plausible wrong answers to each exercise, with a part of what is said to each."""
