"""Teachers of knowledge distillation: found, checked, and made ready for the workers."""
