"""What an experiment is made of: params.yaml, domains, variants, paths."""
