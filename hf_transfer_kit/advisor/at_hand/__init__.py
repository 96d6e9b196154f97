"""What there is besides the rules: data, measurements, memory from configurations, the Hub."""
