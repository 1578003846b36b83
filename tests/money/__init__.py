"""Random lives of contracts, and what must hold of their money after every step."""
