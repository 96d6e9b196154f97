"""The Advisor tab: the conversation, what is known, the advice, what was measured."""
