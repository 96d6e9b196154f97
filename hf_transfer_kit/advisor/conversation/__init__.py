"""The conversation: state and message to state and reply; its words and its look."""
