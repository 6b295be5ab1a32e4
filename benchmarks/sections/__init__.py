"""What is measured, a section a file. Each has `run(quick)`, that gives a record to keep."""
