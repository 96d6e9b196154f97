"""The parts of replay: memory, mixing into batches, distillation."""
