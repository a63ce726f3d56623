"""Error distributions of samples of trained models, and statistics that compare them."""
