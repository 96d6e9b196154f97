"""What the advisor knows: rules, models, domains, as TOML, and what reads it."""
