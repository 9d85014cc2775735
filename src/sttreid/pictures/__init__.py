"""Networks and stores -> what the report shows of them: where they look, what they find, how they sort."""
