"""What a notebook needs besides the package: exercises, widgets, the doctor."""
