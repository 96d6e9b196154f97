"""Jobs: runs that go on without the terminal or page that started them; on this machine, or as HF Jobs."""
