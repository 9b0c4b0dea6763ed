"""What makes a process a good daemon: logs, figures, a watchdog. It reads, reports, and may end the process."""
