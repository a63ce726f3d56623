"""Training of one network: pure torch, without Ray and without MLflow."""
