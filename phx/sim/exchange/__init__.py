"""What the venue does with orders and accounts: rules, matching's results, money, limits, its record of all of it."""
