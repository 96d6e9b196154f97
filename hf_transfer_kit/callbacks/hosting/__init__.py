"""What all callbacks share: the Trainer around them, what they refuse, what a resumed run must find again."""
