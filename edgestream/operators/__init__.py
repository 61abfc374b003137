"""Built-in operators: columns in, columns out."""
