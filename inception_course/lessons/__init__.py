"""What a notebook needs beside the package: exercises, widgets, the doctor."""
