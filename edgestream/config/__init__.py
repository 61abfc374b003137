"""How values written by people become typed values: durations, sizes, secrets, YAML, fields."""
