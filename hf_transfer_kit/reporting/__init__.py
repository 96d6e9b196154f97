"""From a comparison to what people read, on the terminal, as Markdown and as HTML: `report.write_report`. No torch."""
