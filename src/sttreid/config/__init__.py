"""What an experiment is made of: params.yaml and domains/ as frozen dataclasses, variants, and where artifacts lie."""
