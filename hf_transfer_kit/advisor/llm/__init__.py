"""A language model may talk, the rules decide: what it says is checked, and what it cannot do the rules do."""
