"""The parts of gradual unfreezing: phases and their times, what freezes, what follows over processes."""
