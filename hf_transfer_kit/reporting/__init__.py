"""From a comparison to what people read: terminal, Markdown, HTML, pictures: `report.write_report`. Imports no torch."""
