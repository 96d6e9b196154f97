"""How much memory a training needs, and how long it takes, said before it starts."""
