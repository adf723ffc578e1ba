"""Who may edit: keys and the store under them."""
