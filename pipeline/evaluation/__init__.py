"""Evidence on proxies and selection rules: correlation with accuracy, and regret."""
