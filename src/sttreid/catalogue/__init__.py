"""Published models: their cards, where a checkout keeps them, and their export to other formats."""
